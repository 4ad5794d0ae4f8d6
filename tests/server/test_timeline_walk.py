"""The timeline as people have it: looked at, gone along by keyboard, gone on from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightmill.desk.seen import seen
from tests.report.sample import fixed
from tests.report.strangers import huge
from tests.server.conftest import House, role
from tests.server.past import went
from tests.server.shelf import shelve
from tests.server.test_walk import browser, faults, page, sign_in

__all__ = ["browser", "page"]

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

SHOWN = "[...document.querySelectorAll('.timeline .readout')].filter(each => each.checkVisibility()).map(each => each.textContent)"


def test_its_turns_are_one_stop_of_the_tab_key_and_arrows_go_along_them_in_time(house: House, page: Page) -> None:
    run = shelve(house.door, fixed())
    house.let_in("ada@example.org", role("viewer"))
    sign_in(page.context, house, "ada@example.org")
    page.goto(f"/runs/{run}")
    page.locator("[aria-label='Timeline drawing']").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(SHOWN)[0].startswith("check lint passed"), "the newest"
    for _ in range(5):  # the checks of the last proof, and what stands between
        page.keyboard.press("ArrowLeft")
        if page.evaluate(SHOWN)[0].startswith("developer, turn 14"):
            break
    assert "so far" in page.evaluate(SHOWN)[2]
    page.keyboard.press("Home")
    assert page.evaluate(SHOWN)[0].startswith("developer, turn 1 ")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(SHOWN)[0].startswith("developer, turn 2 ")
    assert faults(page) == ""
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('.timeline *')")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(SHOWN)[0].startswith("developer, turn 2 ")
    page.keyboard.press("Enter")
    assert page.url.endswith("#t0-2")
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("along the turns").wait_for()


def test_pointing_at_a_turn_draws_a_line_through_all_lanes(house: House, page: Page) -> None:
    run = shelve(house.door, fixed())
    house.let_in("ada@example.org", role("viewer"))
    sign_in(page.context, house, "ada@example.org")
    page.goto(f"/runs/{run}")
    lines = "[...document.querySelectorAll('.timeline .playhead')].filter(each => each.checkVisibility()).length"
    assert page.evaluate(lines) == 0
    page.locator(".timeline a.turn .hit").nth(4).hover(force=True)
    assert page.evaluate(lines) == 1


def test_a_notch_leads_to_where_one_goes_on_from_it(house: House, page: Page, tmp_path: Path) -> None:
    run = went(house, tmp_path)
    assert seen(house.door, house.door.runs.get(run)).events
    house.let_in("ada@example.org", role("operator"))
    sign_in(page.context, house, "ada@example.org")
    page.goto(f"/runs/{run}")
    page.get_by_role("link", name="Go on from after turn 1").click()
    page.get_by_role("heading", name="After turn 1").wait_for()


def test_that_of_two_thousand_turns_fits_its_page_and_is_left_by_one_press(house: House, page: Page) -> None:
    run = shelve(house.door, huge(turns=2_000, size=500))
    house.let_in("ada@example.org", role("viewer"))
    sign_in(page.context, house, "ada@example.org")
    page.goto(f"/runs/{run}")
    width = page.evaluate("document.querySelector('.timeline').getBoundingClientRect().right")
    assert width <= 1280
    page.locator("[aria-label='Timeline drawing']").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('.timeline *')")
    assert faults(page) == ""
