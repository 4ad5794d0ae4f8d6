"""The pages as people have them: a real browser, by keyboard, on a phone, in light and dark, without a script."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from nightmill import event as e
from nightmill.server import pages
from nightmill.server.guard import Guarded
from tests.browser import chromium, sign_in
from tests.server.conftest import ROOT, House, role
from tests.server.left import leave
from tests.server.past import went
from tests.server.test_attacks import HOSTILE
from tests.server.test_crew import changed
from tests.server.test_rooms import AUDITOR, Shop, ran, shop

__all__ = ["shop"]

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

PAGES: list[Guarded] = [each for each in pages.routes() if "GET" in (each.methods or ())]  # type: ignore[attr-defined,misc]
WORDS = "correct horse battery"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    """A browser's page; nothing that it loads may be refused by the policy or missing."""
    context = browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 900})
    said: list[str] = []
    made = context.new_page()
    made.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda error: said.append(str(error)))
    yield made
    context.close()
    assert [each for each in said if "status of 4" not in each and "net::ERR_" not in each] == []


def fill(house: House) -> None:
    """Runs in several states, with words of strangers in all of them, and what waits."""
    for at, run in enumerate(("rdone1", "rstop1", "rwork1", "rpark1", "rasks1")):
        house.run(run, title=f"Mend the cart, part {at} {HOSTILE}")
        house.tell(e.RunStarted(run=run, worker="w"), e.PhaseStarted(run=run, phase="work", round=0))
    house.tell(e.RunDone(run="rdone1"), e.RunStopped(run="rstop1", why="failed", reason=f"No tests {HOSTILE}"))
    house.tell(e.RunParked(run="rpark1", reason=f"No key {HOSTILE}", needs="person"))
    house.asks("rasks1", title=f"Merge the cart? {HOSTILE}")
    house.asks("rwork1", kind="answer", title=f"Which cart? {HOSTILE}")


def faults(page: Page) -> str:
    """What axe finds in light at a desk and in dark on a phone, "" for nothing; and what a phone does not show."""
    found = []
    for scheme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        told = Axe().run(page)
        found += [f"{scheme}: {told.generate_report()}"] if told.violations_count else []
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{scheme}: wider than {width} px")
    return "\n".join(found)


def test_somebody_who_was_invited_comes_in_goes_out_and_comes_again_by_keyboard(house: House, page: Page) -> None:
    house.run("rone", title="Mend the cart")
    secret = house.site.people.invite("ada@example.org", grants=[role("viewer")], by=ROOT)
    page.goto(f"/welcome/{secret}")
    assert faults(page) == ""
    page.keyboard.type("Ada Example")
    page.keyboard.press("Tab")
    page.keyboard.type(WORDS)
    page.keyboard.press("Enter")
    page.get_by_text("Mend the cart").first.wait_for()
    assert "Ada Example" in page.inner_text("header")

    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url("**/sign-in*")
    for words, then in (("wrong words here", "[role=alert]"), (WORDS, "text=Mend the cart")):
        page.get_by_label("Mail address").fill("ada@example.org")
        page.keyboard.press("Tab")
        page.keyboard.type(words)
        page.keyboard.press("Enter")
        page.locator(then).first.wait_for()
        assert faults(page) == ""


def fold(page: Page, name: str) -> None:
    """Open what is folded under *name*, by keyboard."""
    page.get_by_text(name, exact=True).first.focus()
    page.keyboard.press("Enter")


def test_an_admin_tends_webhooks_and_secrets_by_keyboard_and_sees_each_secret_once(house: House, page: Page) -> None:
    house.let_in("root@example.org", role("admin"))
    sign_in(page.context, house, "root@example.org")
    page.goto("/settings")
    page.get_by_role("link", name="Webhooks").press("Enter")
    page.get_by_label("Address").fill("https://hooks.example/in")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Add it").press("Enter")
    secret = page.locator("[role=status] code").inner_text()
    assert secret.startswith("whsec_")
    page.get_by_role("button", name="Pause").press("Enter")
    page.get_by_role("button", name="Resume").wait_for()
    assert secret not in page.content()
    for name in ("Last letters", "Another secret", "Tell somebody"):
        fold(page, name)
    assert faults(page) == ""

    page.get_by_role("link", name="Secrets").press("Enter")
    fold(page, "Keep another")
    page.get_by_label("Name").fill("SHOP_TOKEN")
    page.keyboard.press("Tab")
    page.keyboard.type("a secret of the shop")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="SHOP_TOKEN").wait_for()
    assert "a secret of the shop" not in page.content()
    fold(page, "Replace")
    assert faults(page) == ""


def test_somebody_changes_their_password_by_keyboard_and_sees_who_else_is_let_in(house: House, page: Page) -> None:
    house.let_in("root@example.org", role("admin"))
    sign_in(page.context, house, "root@example.org")
    page.goto("/settings")
    fold(page, "Choose another")
    assert faults(page) == ""
    page.get_by_label("The password that you have now").fill(WORDS)
    page.keyboard.press("Tab")
    page.keyboard.type("another horse altogether")
    page.keyboard.press("Enter")
    page.get_by_text("You have another password").wait_for()
    page.get_by_role("link", name="Budget").press("Enter")
    page.get_by_role("heading", name="spent today").wait_for()
    assert faults(page) == ""
    page.get_by_role("link", name="People").press("Enter")
    page.get_by_role("heading", name="Root").wait_for()
    fold(page, "Change roles")
    assert faults(page) == ""


def test_the_rooms_are_walked_by_keyboard_and_a_role_is_read_with_its_history(shop: Shop, page: Page) -> None:
    house = shop.house
    ran(shop, "r1")
    ran(shop, "r2", well=False)
    changed(shop, ".nightmill/crew/auditor.md", AUDITOR + "\nAnd again.\n", "Look again")
    house.let_in("root@example.org", role("admin"))
    sign_in(page.context, house, "root@example.org")

    page.goto("/crew")
    while page.evaluate("document.activeElement.textContent") != "auditor":
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What it is told").wait_for()
    fold(page, "How that came to be")
    page.get_by_text("Look again").first.wait_for()
    assert faults(page) == ""
    page.get_by_role("link", name="What differs in Look again").press("Enter")
    page.get_by_role("heading", name="How its instructions came to be").wait_for()
    assert "And again." in page.locator("tr.add code").all_inner_texts()
    assert faults(page) == ""


def test_a_fold_that_is_opened_before_the_scripts_ran_is_filled(shop: Shop, page: Page) -> None:
    changed(shop, ".nightmill/crew/auditor.md", AUDITOR + "\nAnd again.\n", "Look again")
    shop.house.let_in("root@example.org", role("admin"))
    sign_in(page.context, shop.house, "root@example.org")
    page.goto("/crew")
    at = page.get_by_role("link", name="auditor").first.get_attribute("href") or ""
    held: list[Route] = []
    page.route("**/lazy.js*", lambda route: held.append(route))  # noqa: PLW0108 - it wants a function of Python
    with page.expect_request("**/lazy.js*"):
        page.goto(at, wait_until="commit")
    fold(page, "How that came to be")
    held[0].continue_()
    page.get_by_text("Look again").first.wait_for()


def test_projects_blueprints_and_the_ledger_are_walked_by_keyboard(shop: Shop, page: Page) -> None:
    house = shop.house
    ran(shop, "r1")
    ran(shop, "r2", well=False)
    house.let_in("root@example.org", role("admin"))
    sign_in(page.context, house, "root@example.org")
    for at in ("/projects", "/blueprints"):
        page.goto(at)
        assert faults(page) == ""
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=2).first.wait_for()
        for folded in page.locator("details.fold > summary").all():
            folded.press("Enter")
        assert faults(page) == ""

    page.goto("/ledger")
    page.keyboard.press("/")
    page.keyboard.type("r2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ledger?words=r2*")
    assert page.locator("tbody a").first.inner_text() == "r2"
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys of this page")
    keys.get_by_text("Verify the chain").wait_for()
    assert faults(page) == ""
    page.keyboard.press("Escape")
    keys.wait_for(state="hidden")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") == "r2"
    page.keyboard.press("v")
    page.get_by_text("the chain holds").wait_for()
    assert faults(page) == ""


def test_what_happens_is_on_the_page_without_asking_for_it_again(house: House, page: Page) -> None:
    house.let_in("ada@example.org", role("viewer"))
    sign_in(page.context, house, "ada@example.org")
    page.goto("/")
    page.locator("[data-connection=live]").wait_for()
    house.run("rone", title="Mend the cart")
    page.get_by_text("Mend the cart").first.wait_for()
    house.asks("rone", title="Merge the cart?")
    page.get_by_text("Merge the cart?").first.wait_for()


def test_a_page_that_lost_its_server_is_true_again_when_it_is_back(house: House, page: Page) -> None:
    house.let_in("ada@example.org", role("viewer"))
    sign_in(page.context, house, "ada@example.org")
    page.goto("/")
    page.locator("[data-connection=live]").wait_for()
    house.stop()
    page.locator("[data-connection=lost]").wait_for()
    house.run("rone", title="Mend the cart")
    house.start()
    page.get_by_text("Mend the cart").first.wait_for(timeout=60_000)


def test_each_page_is_read_without_a_script(house: House, browser: Browser) -> None:
    house.let_in("ada@example.org", role("viewer"))
    fill(house)
    context = browser.new_context(base_url=house.url, java_script_enabled=False)
    sign_in(context, house, "ada@example.org")
    page = context.new_page()
    page.goto("/")
    assert page.get_by_text("Mend the cart, part 0").count()
    assert page.get_by_text("Which cart?").count()
    context.close()


def test_what_a_run_left_is_read_and_started_from_night_with_one_press(
    house: House, page: Page, tmp_path: Path
) -> None:
    filed = leave(house, tmp_path, said=HOSTILE)
    house.let_in("ada@example.org", role("operator"))
    sign_in(page.context, house, "ada@example.org")
    page.goto("/")
    page.get_by_role("link", name="left by run").click()
    page.get_by_text("does not agree").first.wait_for()
    assert faults(page) == ""
    page.goto("/")
    page.get_by_role("button", name="Start it").press("Enter")
    page.wait_for_url("**/runs/*")

    assert house.door.tasks.get(filed.task).child == page.url.rpartition("/")[2]


def test_what_was_there_is_edited_in_place_and_gone_on_from(house: House, page: Page, tmp_path: Path) -> None:
    run = went(house, tmp_path, said=HOSTILE)
    house.let_in("ada@example.org", role("operator"))
    sign_in(page.context, house, "ada@example.org")
    page.goto(f"/runs/{run}")
    page.get_by_text("Rewind or fork").click()
    page.get_by_role("button", name="Edit what was there").click()
    page.get_by_role("link", name="developer 1").click()
    assert faults(page) == ""
    page.locator("summary", has_text="calc.py").click()
    page.get_by_label("calc.py").fill("a\nb\nc\n")
    page.get_by_role("button", name="Go on from here").press("Enter")
    page.get_by_text("edited the file").wait_for()

    told = house.door.ledger.read(run=page.url.rpartition("/")[2], names=("past_edited",))
    assert [json.loads(each.body)["what"] for each in told] == ["calc.py"]


@pytest.mark.slow
def test_every_page_is_fit_for_everybody_in_light_and_dark_whatever_strangers_wrote(house: House, page: Page) -> None:
    house.let_in("root@example.org", role("admin"))
    fill(house)
    sign_in(page.context, house, "root@example.org")
    values = defaultdict(lambda: "1", run="rasks1", other="rdone1", project="shop")
    found = {}
    for route in PAGES:
        where = route.path.format_map(values)
        with house.nobody() as client:
            kind = client.get(
                where, headers={"Cookie": f"{house.site.cookie}={house.site.keys.begin('root@example.org')}"}
            )
        if kind.headers.get("content-type", "").startswith("text/html"):
            page.goto(where)
            found[where] = faults(page)
            assert page.evaluate("document.scripts.length") == page.locator("script[src]").count(), where

    assert {"/", "/runs/rasks1/compare/rdone1"} <= set(found)
    assert {where: each for where, each in found.items() if each} == {}
