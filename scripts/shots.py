"""Take the pictures of README and docs: the report of a run, in light and in dark.

`make shots PAGE=report.html` with a page that `nightmill show RUN --html report.html` wrote.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright

__all__ = ["take"]

IMAGES = Path(__file__).parent.parent / "docs/images"
SIZE: ViewportSize = {"width": 1280, "height": 860}


def take(page: Path, *, folder: Path) -> list[Path]:
    """Write `report-light.png` and `report-dark.png` of *page* into *folder*.

    Raises:
        SystemExit: If Chromium or the page is missing.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("shots: Chromium is missing\nhint: sudo apt install chromium")
    if not page.is_file():
        raise SystemExit(f"shots: there is no page {str(page)!r}\nhint: make shots PAGE=report.html")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        # Pages of ours only; as root, Chromium starts in no other way.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        return [_shot(browser, page, folder / f"report-{scheme}.png", scheme) for scheme in ("light", "dark")]


def _shot(browser: Browser, page: Path, path: Path, scheme: str) -> Path:
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport=SIZE, device_scale_factor=1.5
    )
    shown = context.new_page()
    shown.goto(page.resolve().as_uri())
    shown.screenshot(path=path)
    context.close()
    return path


def main() -> None:
    """Take them of the page that is named."""
    for path in take(Path(" ".join(sys.argv[1:])), folder=IMAGES):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
