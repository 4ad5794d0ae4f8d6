"""A real browser, for tests of what is seen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.server.conftest import House

__all__ = ["chromium", "seen_by", "sign_in"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; where there is none, the test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def sign_in(context: BrowserContext, house: House, address: str) -> None:
    """Have *address* signed in at *house*, in whatever *context* opens."""
    cookie = {"name": house.site.cookie, "value": house.site.keys.begin(address), "url": house.url}
    context.add_cookies([cookie])  # type: ignore[list-item]


@contextmanager
def seen_by(house: House, address: str) -> Iterator[Page]:
    """A page in which *address* is signed in at *house*."""
    with chromium() as browser:
        context = browser.new_context(base_url=house.url)
        sign_in(context, house, address)
        yield context.new_page()
