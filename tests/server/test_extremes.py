"""Pages with more on them than anybody planned: long, wide, in other scripts, empty, and twice as large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightmill import event as e
from nightmill.report.graph import MANY
from tests.server.conftest import House, role
from tests.server.test_change import opened
from tests.server.test_plan import task
from tests.server.test_walk import browser, faults, page, sign_in

__all__ = ["browser", "page"]

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

LONG = "names-that-never-end-" * 6
OTHER = "שלום — תקן את העגלה (تصحيح السعر) 🛒🧑\u200d🔧"
WIDTHS = (390, 640, 1920)
"""Pixels: a phone, a desk at twice the size, and a wide one."""


def wide(page: Page) -> list[int]:
    """The widths at which the page would have to be pushed sideways."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(width)
    return found


@pytest.mark.slow
def test_a_change_of_thousands_of_lines_a_huge_line_and_a_picture_is_read(
    house: House, page: Page, tmp_path: Path
) -> None:
    more = "".join(f"value_{number} = {number}  # {OTHER if number % 40 == 0 else 'line'}\n" for number in range(3_000))
    also = {
        "picture.png": b"\x89PNG\0\0" * 900,
        "z_one_line.json": b"word " * 400_000,
        f"{LONG[:120]}.txt": OTHER.encode(),
        "empty.txt": b"",
    }
    shop = opened(house, tmp_path / "shop", said=f"{OTHER} {LONG}", more=more, also=also)
    house.let_in("ada@example.org", role("approver"))
    sign_in(page.context, house, "ada@example.org")
    page.goto(shop.path)

    assert "+3,0" in page.inner_text(".figures")
    assert page.get_by_text("binary").count()
    assert page.get_by_text("There is more than fits here").count()
    assert len(page.content()) < 1_000_000
    page.get_by_role("link", name="criteria shown by tests").press("Enter")
    assert page.evaluate("location.hash") == "#criteria"
    page.locator("summary", has_text="calc.py").press("Enter")
    assert page.locator("tr.add").count() > 2_000
    assert page.locator("b.x", has_text="200D").count() == 0
    assert wide(page) == []
    assert faults(page) == ""


def test_a_plan_of_a_hundred_tasks_is_looked_at(house: House, page: Page) -> None:
    queued = e.RunQueued(run="rspec", kind="spec", title=f"{OTHER} {LONG}", project="shop", spec="s", model="m")
    house.door.runs.create(queued, assignment="a")
    tasks = [
        task(f"T{at}", *([f"T{at - 7}"] if at > 9 else []), title=(OTHER, LONG, "Do it")[at % 3]) for at in range(100)
    ]
    told: list[e.Event] = [e.PlanMade(run="rspec", tasks=tasks, source="architect")]
    for at in range(30):
        house.run(f"rspec-{at}", parent="rspec", title=LONG)
        told += [e.TaskQueued(run="rspec", task=f"T{at}", child=f"rspec-{at}")]
        told += [e.RunDone(run=f"rspec-{at}")] if at < 20 else []
    house.tell(*told)
    house.let_in("ada@example.org", role("viewer"))
    sign_in(page.context, house, "ada@example.org")
    page.goto("/runs/rspec/plan")

    assert len(tasks) > MANY
    assert page.locator(".graph .box").count() == 100
    assert page.locator(".graph .tie").count() == 0
    page.locator("#over > summary", has_text="20 tasks done").press("Enter")
    assert wide(page) == []
    assert faults(page) == ""
    page.goto("/runs/rspec")
    page.locator("#done > summary", has_text="20 tasks done").press("Enter")
    assert wide(page) == []
    assert faults(page) == ""


def test_names_without_end_in_other_scripts_push_nothing_aside(house: House, page: Page) -> None:
    for at, name in enumerate((LONG, OTHER)):
        house.run(f"r{at}{'x' * 40}", project=f"p{LONG[:50]}", title=name)
        house.asks(f"r{at}{'x' * 40}", kind="answer", title=f"{name}?")
    house.let_in("ada@example.org", role("operator"))
    sign_in(page.context, house, "ada@example.org")
    for at in ("/", "/runs", f"/runs/r0{'x' * 40}"):
        page.goto(at)
        assert wide(page) == [], at
        assert faults(page) == "", at


def test_who_may_see_nothing_yet_is_told_who_gives_them_a_role(house: House, page: Page) -> None:
    house.run("rone")
    house.let_in("ada@example.org")
    sign_in(page.context, house, "ada@example.org")
    page.goto("/")
    page.get_by_text("You may see no project yet").wait_for()
    assert faults(page) == ""


def test_nothing_moves_by_itself_and_a_print_holds_what_is_folded(house: House, page: Page) -> None:
    house.run("rone")
    house.let_in("ada@example.org", role("operator"))
    sign_in(page.context, house, "ada@example.org")
    page.emulate_media(reduced_motion="reduce")
    page.goto("/runs/rone")
    moving = """[...document.querySelectorAll('*')].map(each => getComputedStyle(each)).filter(
        each => each.animationName !== 'none' || parseFloat(each.transitionDuration)).length"""
    assert page.evaluate(moving) == 0
    page.emulate_media(media="print")
    assert page.locator("header.site").is_hidden()
    assert page.get_by_role("button", name="Pause").count() == 0


def test_without_a_script_a_run_is_read_and_steered(house: House, browser: Browser) -> None:
    house.let_in("ada@example.org", role("operator"))
    house.run("rone")
    context = browser.new_context(base_url=house.url, java_script_enabled=False)
    sign_in(context, house, "ada@example.org")
    page = context.new_page()
    page.goto("/runs/rone")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_text("asked to pause it").wait_for()
    assert house.door.runs.get("rone").wanted == "pause"
    context.close()
