"""Take the picture of the README: the head of a run's report, down to its timeline, in light.

`make shots PAGE=report.html` with a page that `nightmill show RUN --html report.html` wrote, best of a task's run.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

__all__ = ["TARGET", "take"]

TARGET = Path(__file__).parent.parent / "docs/images/report.png"
WIDTH, LONGEST = 1280, 2600
END = "h3:has-text('Where the working time went')"
"""What stands below the timeline: the picture ends above it."""


def take(page: Path, *, target: Path) -> Path:
    """Write the picture of *page* to *target*.

    Raises:
        SystemExit: If Chromium or the page is missing.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("shots: Chromium is missing\nhint: sudo apt install chromium")
    if not page.is_file():
        raise SystemExit(f"shots: there is no page {str(page)!r}\nhint: make shots PAGE=report.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        # Pages of ours only; as root, Chromium starts in no other way.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(color_scheme="light", viewport={"width": WIDTH, "height": LONGEST})
        shown.goto(page.resolve().as_uri())
        end = shown.locator(END).first.bounding_box() if shown.locator(END).count() else None
        height = min(end["y"] - 8, LONGEST) if end else LONGEST
        shown.screenshot(path=target, clip={"x": 0, "y": 0, "width": WIDTH, "height": height}, full_page=True)
        browser.close()
    return target


def main() -> None:
    """Take it of the page that is named."""
    print(f"wrote {take(Path(' '.join(sys.argv[1:])), target=TARGET)}")


if __name__ == "__main__":
    main()
