"""Pages that are left open: while runs work, for a night, and when their session ends meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightmill import event as e
from tests.report.sample import command
from tests.report.telling import Telling
from tests.server.conftest import House, role
from tests.server.test_walk import browser, faults, page, sign_in

__all__ = ["browser", "page"]

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

WORDS = "Mind the sign, and do not lose these words."


def turns(house: House, run: str, first: int, last: int) -> None:
    """The run goes through turns *first* to *last*."""
    for number in range(first, last + 1):
        told = Telling(run=run, turn=number - 1)
        told.take(command(f"make {number}", "ok\n", seconds=0.1), text=f"Turn {number}.")
        for body in told.blobs.values():
            house.door.blobs.put(body)
        house.tell(*[each.event for each in told.entries])


def opened(house: House, page: Page, at: str) -> str:
    """*at*, live, for an operator; gives the key of their session."""
    house.let_in("ada@example.org", role("operator"))
    sign_in(page.context, house, "ada@example.org")
    page.goto(at)
    page.locator("[data-connection=live]").wait_for()
    return next(each["value"] for each in page.context.cookies() if each["name"] == house.site.cookie)


def test_what_happens_while_a_page_is_on_its_way_is_seen_on_it(house: House, page: Page) -> None:
    house.run("rone")

    def late(route: Route) -> None:
        house.tell(e.RunStarted(run="rone", worker="w"), e.RunPaused(run="rone", by="bob@example.org"))
        route.continue_()

    page.route("**/api/v1/events*", late, times=1)
    opened(house, page, "/runs/rone")
    page.get_by_text("paused").first.wait_for()


def test_who_was_signed_out_meanwhile_is_told_so_and_comes_back_to_the_page(house: House, page: Page) -> None:
    house.run("rone")
    session = opened(house, page, "/runs/rone")
    house.site.keys.end(session)
    page.get_by_text("You were signed out meanwhile").wait_for()
    assert faults(page) == ""
    page.get_by_label("Mail address").fill("ada@example.org")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/rone")


def test_what_somebody_writes_outlives_their_session(house: House, page: Page) -> None:
    house.run("rone")
    session = opened(house, page, "/runs/rone")
    page.keyboard.press("s")
    page.locator("#word").fill(WORDS)
    house.site.keys.end(session)
    page.get_by_text("You are signed out. What you wrote stays here.").wait_for()
    page.get_by_role("link", name="Sign in in another tab").wait_for()
    assert faults(page) == ""
    assert page.locator("#word").input_value() == WORDS

    sign_in(page.context, house, "ada@example.org")
    page.get_by_text("You are signed in again.").wait_for(state="attached", timeout=60_000)
    page.locator("[data-connection=live]").wait_for()
    assert page.locator("#word").input_value() == WORDS
    page.get_by_role("button", name="Say", exact=True).press("Enter")
    page.get_by_text(WORDS).first.wait_for()


def test_nothing_moves_under_the_pointer_of_who_reads_while_a_run_works(house: House, page: Page) -> None:
    house.run("rone")
    house.tell(e.RunStarted(run="rone", worker="w"), e.PhaseStarted(run="rone", phase="work", round=0))
    turns(house, "rone", 1, 12)
    opened(house, page, "/runs/rone")
    row = page.locator("#t0-6-turn > summary")
    row.scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 120)")
    row.hover()
    before = row.bounding_box()
    house.asks("rone", kind="answer", title="Which cart? " * 20)
    house.tell(
        e.TodoChanged(run="rone", turn=12, items=[{"text": f"Item {each}", "state": "doing"} for each in range(9)])
    )
    turns(house, "rone", 13, 15)
    page.locator("#t0-15-turn").wait_for()
    page.get_by_text("Item 8").first.wait_for()
    after = row.bounding_box()

    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 2
    assert row.evaluate("each => each.matches(':hover')")


@pytest.mark.slow
def test_a_page_that_is_left_open_for_a_night_takes_no_more_memory(house: House, page: Page) -> None:
    house.run("rone")
    house.tell(e.RunStarted(run="rone", worker="w"), e.PhaseStarted(run="rone", phase="work", round=0))
    opened(house, page, "/runs/rone")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def held() -> dict[str, int]:
        devtools.send("HeapProfiler.collectGarbage")
        told = devtools.send("Performance.getMetrics")["metrics"]
        return {each["name"]: int(each["value"]) for each in told}

    found = []
    for last in (100, 200, 400, 800):
        turns(house, "rone", last // 2 + 1 if last > 100 else 1, last)
        page.locator(f"#t0-{last}-turn").wait_for(state="attached", timeout=60_000)
        found.append(held())

    assert house.door.ledger.last() > 4_000
    assert found[-1]["JSHeapUsedSize"] - found[0]["JSHeapUsedSize"] < 1_000_000
    assert found[-1]["JSEventListeners"] == found[0]["JSEventListeners"]
    assert page.locator("#talk > details").count() <= 40
