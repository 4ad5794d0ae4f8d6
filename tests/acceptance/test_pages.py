"""The main story of the pages on a real run: watched, paused, told something, gone on from otherwise, compared, merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium, sign_in
from tests.halting import Halting, Reply, halting
from tests.server.conftest import House, role
from tests.server.test_walk import faults
from tests.whole import EDIT, FINISH, LOOK, TRY, Mill

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

LONG = 120_000
"""Milliseconds after which something hangs."""


def reply(turn: dict[str, object], after: str = "") -> Reply:
    """What `tests.whole` has a developer say in a turn."""
    (call,) = turn["tool_calls"]  # type: ignore[misc]
    return Reply(before=f"{turn['text']} ", after=after, call=(call["name"], call["arguments"]))  # type: ignore[has-type]


@pytest.fixture
def model() -> Iterator[Halting]:
    replies = [reply(each) for each in (LOOK, EDIT, TRY, FINISH, TRY, FINISH)]
    replies[0] = reply(LOOK, after="That was all of it.")
    for each in replies[1:]:
        each.go.set()
    with halting(*replies) as made:
        yield made


@pytest.fixture
def page(house: House) -> Iterator[Page]:
    house.let_in("bob@example.org", role("operator"), role("approver"))
    with chromium() as browser:
        context = browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(LONG)
        sign_in(context, house, "bob@example.org")
        yield context.new_page()


def test_a_run_is_watched_steered_gone_on_from_and_merged_on_its_pages(
    mill: Mill, house: House, model: Halting, page: Page
) -> None:
    page.goto("/")
    page.locator("[data-connection=live]").wait_for()
    with mill.worker():
        asked = mill.run("run", mill.folder / "SPEC.md", "--detach", "--blueprint", "solo", at=mill.folder / "calc")
        assert not asked.returncode, asked.stderr
        page.get_by_role("link", name="Adding gives the sum").first.click()
        page.locator("#tasks li a").first.click()
        watched(page, model)
        old = page.url
        gone_on_from(page)
    merged(page, old)


def watched(page: Page, model: Halting) -> None:
    """The first turn is seen while it is written, and the run paused by a key; it goes on with a word."""
    page.locator("#draft").get_by_text("I look at it first.").wait_for()
    page.keyboard.press("p")
    page.get_by_text("asked to pause it").wait_for()
    model.replies[0].go.set()
    page.locator("#do-resume").wait_for()
    page.get_by_text("paused").first.wait_for()
    assert faults(page) == ""
    page.set_viewport_size({"width": 1280, "height": 900})
    page.keyboard.press("s")
    page.locator("#word").fill("Mind the sign.")
    with page.expect_navigation():
        page.get_by_role("button", name="Say", exact=True).press("Enter")
    page.get_by_text("Mind the sign.").first.wait_for()
    page.locator("[data-connection=live]").wait_for()  # from then on the new page hears keys
    page.keyboard.press("r")
    page.get_by_text("Pull request 1 waits").wait_for()
    page.get_by_text("heard by developer").wait_for()
    assert page.locator("#changed").get_by_text("calc.py").count()


def gone_on_from(page: Page) -> None:
    """From its second turn, with a file as the person wrote it; both are seen side by side."""
    page.locator("#rewind-of").press("Enter")
    page.locator("#to").select_option("developer/2")
    page.locator("#instruction").fill("Say what it does.")
    page.get_by_role("button", name="Edit what was there").press("Enter")
    page.locator("#file-1 > summary").press("Enter")
    text = page.get_by_label("calc.py")
    assert "a + b" in text.input_value()
    text.fill(f"{text.input_value()}\n# By hand.\n")
    assert faults(page) == ""
    page.get_by_role("button", name="Go on from here").press("Enter")
    page.get_by_text("edited the file").wait_for()
    page.get_by_text("Pull request 2 waits").wait_for()
    page.get_by_role("link", name="both side by side").click()
    page.get_by_text("2 turns in common").wait_for()
    assert page.locator(".lines .add").get_by_text("# By hand.").count()
    assert faults(page) == ""


def merged(page: Page, old: str) -> None:
    """Who wrote a part of the second may not decide it; the first is merged by a key, and Night says so."""
    page.goto(old)
    page.get_by_role("link", name="may it be merged?").click()
    first = page.url
    page.goto(f"{first.rpartition('/')[0]}/2")
    page.get_by_text("You may not decide this").wait_for()
    page.goto(first)
    page.get_by_text("The sign is wrong.").first.wait_for()
    assert faults(page) == ""
    page.keyboard.press("a")  # which shows what it is about, and does nothing yet
    assert page.evaluate("document.activeElement.textContent") == "Approve and merge"
    page.keyboard.press("a")
    page.get_by_text("Merged", exact=True).wait_for()
    page.goto("/")
    page.locator("#landed").get_by_text("Adding gives the sum").wait_for()
    assert "none is merged yet" not in page.inner_text("#since")
    assert faults(page) == ""
