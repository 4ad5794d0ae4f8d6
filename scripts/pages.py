"""Take pictures of every page of a server, with the runs of the demo on it: at three widths, in light and dark.

`make shots` makes those runs first, which takes a minute or two, and one that goes on from a turn of them with another word, and leaves
the pictures in `shots/`, and those of the documentation in `docs/images/`. It goes where links lead, so that a page that comes is in it;
of pages that differ in a number or a name of a run alone it takes one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from scripts import shots

__all__ = ["SHOTS", "demo", "documented", "fork", "served", "take"]

SHOTS = Path(__file__).parent.parent / "shots"
WIDTHS, HEIGHT, LONGEST = (390, 1280, 1920), 900, 4000
SCHEMES = ("light", "dark")
AT = re.compile(r"nightmill is at (http://\S+);")
FIRST = ("/", "/sign-in")
MOST, ALIKE = 40, 3
LINKS = "found => found.map(each => each.getAttribute('href').split('#')[0])"
ASKING = ("/moment",)
"""Ends of addresses that are no page without what is asked behind them."""
FORKED, WORD = "developer/3", "Compare the numbers that are written, not their texts."


def demo(folder: Path) -> Path:
    """The home that `nightmill demo` leaves below *folder*."""
    subprocess.run([sys.executable, "-m", "nightmill.cli", "demo", "--folder", str(folder)], check=True)
    return folder / "home"


def fork(home: Path) -> Path:
    """Have a run go on from a turn of the demo's developer; nobody works on it, so it waits. Gives the report of the first."""
    command, environment = [sys.executable, "-m", "nightmill.cli"], {**os.environ, "NIGHTMILL_HOME": str(home)}
    told = subprocess.run([*command, "runs", "--json"], env=environment, check=True, stdout=subprocess.PIPE).stdout
    run = next(each["id"] for each in json.loads(told) if each["kind"] == "task")
    report = home.parent / "task.html"
    subprocess.run([*command, "show", run, "--html", str(report)], env=environment, check=True)
    subprocess.run([*command, "rewind", run, "--to", FORKED, "--instruction", WORD], env=environment, check=True)
    return report


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Where a server of *home* is, until the end of the block; whoever comes to it may do everything."""
    command = [sys.executable, "-m", "nightmill.cli", "serve", "--port", "0", "--workers", "0", "--no-sign-in"]
    environment = {**os.environ, "NIGHTMILL_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = next((found[1] for line in process.stderr if (found := AT.search(line))), None)
            if found is None:
                raise SystemExit(f"shots: the server ended with {process.wait()}")
            yield found
        finally:
            process.terminate()


def take(url: str, folder: Path) -> list[Path]:
    """Write a picture of each page below *url* into *folder*; return them.

    Raises:
        SystemExit: If Chromium is missing.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("shots: Chromium is missing\nhint: sudo apt install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    with sync_playwright() as playwright:
        # Pages of ours only; as root, Chromium starts in no other way.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(base_url=url)
        for path in _walk(page):
            found += _shoot(page, folder / _name(path))
        browser.close()
    return found


def documented(found: Path, report: Path) -> list[Path]:
    """Take anew what the documentation shows: the first page, of which *found* holds pictures, and the *report* of a run."""
    night = shots.TARGET.with_name("night.png")
    shutil.copyfile(found / "night-1280-light.png", night)
    return [night, shots.take(report, target=shots.TARGET)]


def _walk(page: Page) -> Iterator[str]:
    """Go to one page of each kind, in the order in which links name them; to a few more of it only for their links."""
    todo, kinds, seen = list(FIRST), Counter[str](), set[str]()
    while todo and len(kinds) < MOST:
        path, mark, asked = todo.pop(0).partition("?")
        path += f"{mark}{asked}" if path.endswith(ASKING) else ""
        if path in seen or kinds[_name(path)] == ALIKE or path.startswith(("/static/", "/api/")):
            continue
        seen.add(path)
        kinds[_name(path)] += 1
        answer = page.goto(path)
        if answer is None or not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        if kinds[_name(path)] == 1:
            yield path
        todo += page.locator("a[href^='/']:not([download])").evaluate_all(LINKS)


def _shoot(page: Page, stem: Path) -> Iterator[Path]:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            target = stem.with_name(f"{stem.name}-{width}-{scheme}.png")
            height = min(LONGEST, max(HEIGHT, page.evaluate("document.documentElement.scrollHeight")))
            page.screenshot(path=target, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
            yield target


def _name(path: str) -> str:
    """The kind of page at *path*: a part with a digit in it is some run, or some number; one blueprint, one role is as another."""
    some = re.sub(r"^(/blueprints)/.+", r"\1/one", path.partition("?")[0])
    some = re.sub(r"^(/crew/[^/]+)/[^/]+", r"\1/role", some)
    some = re.sub(r"(?<=/runs/)[^/]+|(?<=/compare/)[^/]+", "one", some)  # not every name of a run has a digit
    return re.sub(r"[^/]*\d[^/]*", "one", some).strip("/").replace("/", "-") or "night"


def main() -> None:
    """Make runs, serve them, take the pictures."""
    shutil.rmtree(SHOTS, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="nightmill-shots-", ignore_cleanup_errors=True) as folder:
        home = demo(Path(folder))
        report = fork(home)
        with served(home) as url:
            found = take(url, SHOTS)
        found += documented(SHOTS, report)
    print(f"wrote {len(found)} pictures to {SHOTS} and {shots.TARGET.parent}")


if __name__ == "__main__":
    main()
