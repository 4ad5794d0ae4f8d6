"""A real run, and what each page says of it: the same as its ledger, by keyboard, in light and dark, fit for everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightmill.report.words import money
from nightmill.store import export
from tests.conftest import ScriptedFactory
from tests.server.conftest import House, role
from tests.server.test_walk import browser, faults, page, sign_in
from tests.whole import MODELS, SPEC, Mill, repository, script

__all__ = ["browser", "page"]

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow


@pytest.fixture
def mill(scripted: ScriptedFactory, tmp_path: Path) -> Mill:
    """An installation whose one run is done."""
    checkout = repository(tmp_path / "calc")
    (tmp_path / "SPEC.md").write_text(SPEC.format(title=""))
    named = {"NIGHTMILL_MODEL": MODELS["anthropic"], "NIGHTMILL_BASE_URL": scripted(script()).url}
    made = Mill(folder=tmp_path).given(**named, NIGHTMILL_PLAN="single", NIGHTMILL_BUDGET_DAY_MONEY="20")
    assert not made.run("init", at=checkout).returncode
    with made.worker():
        ran = made.run("run", tmp_path / "SPEC.md", at=checkout)
    assert not ran.returncode, ran.stderr
    return made


@pytest.fixture
def house(mill: Mill) -> Iterator[House]:
    """A server of its store."""
    with mill.door() as door:
        made = House(door)
        made.clock.now = max(each.at for each in door.ledger.read())
        made.start()
        made.let_in("root@example.org", role("admin"))
        yield made
        made.stop()


def opened(page: Page, at: str, name: str) -> str:
    """Go to *at*, open the row *name* there by keyboard, and what the page then says."""
    page.goto(at)
    assert faults(page) == ""
    while page.evaluate("document.activeElement.textContent") != name:
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=2).first.wait_for()
    assert faults(page) == ""
    return " ".join(page.inner_text("main").replace("\xa0", " ").split())


def proven(page: Page, file: Path, *, last: int) -> None:
    """Look through the ledger, verify it, take it along, and prove that elsewhere."""
    page.goto("/ledger")
    page.keyboard.press("/")
    page.keyboard.type("the SIGN is wrong")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ledger?words=*")
    assert "turn_finished" in page.inner_text("tbody")
    assert faults(page) == ""
    page.keyboard.press("v")
    page.get_by_text("the chain holds").wait_for()
    with page.expect_download() as taken:
        page.get_by_role("link", name="Export as JSON lines").click()
    taken.value.save_as(file)
    found = export.verify(file)
    assert (found.last, found.broken) == (last, None)


def test_every_room_says_of_a_real_run_what_its_ledger_says(house: House, page: Page, tmp_path: Path) -> None:
    door = house.door
    (task,) = [each for each in door.runs.list() if each.kind == "task"]
    entries = door.ledger.read(run=task.id)
    turns = [json.loads(each.body) for each in entries if each.name == "turn_finished"]
    spent = sum(each["cost"] for each in turns)
    sign_in(page.context, house, "root@example.org")

    said = opened(page, "/projects", task.project)
    assert "1 of 1, so 21% to 100%" in said
    assert "1 done, 0 stopped, 0 not over" in said
    assert f"{money(spent)} in all" in said
    assert "tests 1 of 1" in said
    assert task.title in said

    said = opened(page, "/crew", "developer")
    assert f"acted in 1 run, {len(turns)} turns" in said
    assert f"cost {money(spent)}" in said
    page.get_by_role("link", name="What was told of it").press("Enter")
    page.wait_for_url("**/ledger?who=developer")
    its = ('"role":"developer"', '"author":"nightmill developer')
    assert page.locator("tbody tr").count() == sum(any(each in entry.body for each in its) for entry in entries)

    said = opened(page, "/blueprints", "solo")
    assert "1 of 1, so 21% to 100%" in said
    assert f"{money(spent)} in the middle" in said

    proven(page, tmp_path / "ledger.jsonl", last=door.ledger.last())
    page.goto("/settings")
    page.get_by_role("link", name="Budget").press("Enter")
    page.get_by_role("heading", name=f"{money(spent)} spent today").wait_for()
    assert faults(page) == ""
