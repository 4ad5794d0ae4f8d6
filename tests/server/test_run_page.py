"""The page of a run: what it says, what its buttons do and for whom, and that it stays small however long the run."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from nightmill import event as e
from nightmill.kept import Draft, Piece
from nightmill.store.drafts import Drafts
from tests.browser import seen_by
from tests.report.others import under_way
from tests.report.sample import command, fixed
from tests.report.strangers import huge
from tests.report.telling import Telling
from tests.server.conftest import TREE, House, role
from tests.server.shelf import shelve

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVIL = '</title></p><script src="//evil.example/x.js"></script><img src=x onerror=alert(1)>" onclick="alert(2)'
HTML = {"Accept": "text/html"}


class Elements(HTMLParser):
    """Every element of a page with what it says of itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def forms(self) -> set[str]:
        return {
            str(named.get("action")) for tag, named in self.found if tag == "form" and named.get("method") != "dialog"
        }

    def ids(self) -> list[str]:
        return [str(named["id"]) for _, named in self.found if "id" in named]


def look(house: House, run: str, *grants: Any, who: str = "ada@example.org", query: str = "") -> str:
    with house.browser(who, *grants) as client:
        answer = client.get(f"/runs/{run}{query}", headers=HTML)
    assert answer.status_code == 200
    return answer.text


def test_it_says_where_a_run_is_and_whether_it_goes_well(house: House) -> None:
    run = shelve(house.door, fixed())
    text = look(house, run, role("viewer"))

    assert "Pull request 12 waits for a person to merge it." in text
    assert "<b>14</b> <span>turns, 19 tool calls" in text.replace("\u00a0", " ")
    assert "Where the working time went" in text
    assert text.count('class="turn"') >= 14
    ids = Elements(text).ids()
    assert sorted(set(ids)) == sorted(ids)


def test_each_sees_the_buttons_that_they_may_press(house: House) -> None:
    house.run("rask12")
    house.asks("rask12")
    house.asks("rask12", kind="answer")
    viewer = look(house, "rask12", role("viewer"), who="vera@example.org")
    operator = look(house, "rask12", role("operator"), who="otto@example.org")
    approver = look(house, "rask12", role("approver"), who="ann@example.org")

    assert Elements(viewer).forms() == {"/sign-out"}
    assert "you have no role in shop that may approve" in viewer
    assert Elements(operator).forms() == {
        "/sign-out",
        "/runs/rask12/pause",
        "/runs/rask12/cancel",
        "/runs/rask12/answer",
        "/runs/rask12/say",
    }
    assert Elements(approver).forms() == {"/sign-out", "/runs/rask12/approve", "/runs/rask12/refuse"}
    for line in ("nightmill pause rask12", "nightmill cancel rask12", "nightmill answer rask12 TEXT"):
        assert line in operator


def test_who_has_a_part_in_it_is_told_why_there_is_no_button(house: House) -> None:
    house.run("rask12")
    house.asks("rask12", barred=("author@example.org",))
    text = look(house, "rask12", role("admin"), who="author@example.org")

    assert "/runs/rask12/approve" not in Elements(text).forms()
    assert "author@example.org has a part in" in text


def test_buttons_do_what_they_say_in_the_name_of_who_pressed_them(house: House) -> None:
    house.run("rone12")
    house.asks("rone12")
    house.asks("rone12", kind="answer")
    said = {"question": "rone12/look/approve", "tree": TREE}
    with house.browser("ada@example.org", role("operator"), role("approver")) as client:
        paused = client.post("/runs/rone12/pause")
        client.post("/runs/rone12/answer", data={"question": "rone12/look/answer", "text": "the left one"})
        other = client.post("/runs/rone12/approve", data={**said, "tree": "b" * 40}, headers=HTML)
        client.post("/runs/rone12/approve", data={**said, "because": "reads well"})
        late = client.post("/runs/rone12/refuse", data={**said, "because": "too late"}, headers=HTML)

    assert (paused.status_code, paused.headers["location"]) == (303, "/runs/rone12")
    run = house.door.runs.get("rone12")
    assert (run.wanted, run.wanted_by) == ("pause", "Ada <ada@example.org>")
    assert (other.status_code, late.status_code) == (409, 409)
    assert "look at it again" in other.text
    asked = {each.kind: (each.state, each.answer, each.by) for each in house.door.questions.of("rone12")}
    assert asked["approve"] == ("granted", "reads well", "Ada <ada@example.org>")
    assert asked["answer"] == ("answered", "the left one", "Ada <ada@example.org>")


def test_a_run_is_cancelled_only_by_who_was_asked_once_more(house: House) -> None:
    house.run("rone12")
    with house.browser("ada@example.org", role("operator")) as client:
        at_once = client.post("/runs/rone12/cancel")
        assert (at_once.status_code, house.door.runs.get("rone12").wanted) == (422, "run")
        sure = client.post("/runs/rone12/cancel", data={"sure": "yes"})

    assert (sure.status_code, house.door.runs.get("rone12").wanted) == (303, "cancel")


def test_a_button_pressed_on_a_page_of_somebody_else_does_nothing(house: House) -> None:
    house.run("rone12")
    with house.browser("ada@example.org", role("operator")) as client:
        answer = client.post("/runs/rone12/pause", headers={"Origin": "https://evil.example"})

    assert (answer.status_code, house.door.runs.get("rone12").wanted) == (403, "run")


def test_a_refusal_without_a_reason_is_none(house: House) -> None:
    house.run("rone12")
    house.asks("rone12")
    with house.browser("ada@example.org", role("approver")) as client:
        answer = client.post(
            "/runs/rone12/refuse", data={"question": "rone12/look/approve", "tree": TREE, "because": " "}
        )

    assert (answer.status_code, house.door.questions.of("rone12")[0].state) == (422, "open")


def test_what_strangers_wrote_stays_text(house: House) -> None:
    told = Telling(run="revil1")
    told.tell(e.RunQueued, kind="task", title=EVIL, project="shop", spec="", model=f"openai:{EVIL}")
    told.tell(e.RunStarted, worker="w")
    told.tell(e.PhaseStarted, phase="work")
    told.take(command(EVIL, EVIL, seconds=1.0), text=EVIL, thinking=EVIL)
    told.tell(e.TodoChanged, turn=1, items=[{"text": EVIL, "state": EVIL}])
    told.tell(e.ServiceStarted, service=EVIL, ready=False, seconds=1.0, reason=EVIL)
    told.tell(e.StepFinished, step="work", kind="agent", state="failed", title=EVIL, reason=EVIL)
    told.begin()
    run = shelve(house.door, told)
    body = house.door.blobs.put(EVIL.encode())
    house.asks(run, title=EVIL, body=body)
    house.asks(run, kind="answer", title=EVIL, options=(EVIL, "none"))
    for path in (f"/runs/{run}", "/", "/runs"):
        with house.browser("ada@example.org", role("operator"), role("approver")) as client:
            text = client.get(path, headers=HTML).text
        assert "evil.example" in text
        for tag, named in Elements(text).found:
            assert tag != "img"
            assert tag != "script" or str(named["src"]).startswith("/static/")
            assert not any(each.startswith("on") or each == "style" for each in named), (tag, named)


def test_each_turn_of_a_long_run_is_on_one_page_and_drawings_lead_there(house: House) -> None:
    run = shelve(house.door, huge(turns=300, size=20_000))
    newest = look(house, run, role("viewer"))
    pages = [look(house, run, role("viewer"), query=f"?turns={number}") for number in range(1, 16)]

    assert max(len(each.encode()) for each in (newest, *pages)) < 1_000_000
    shown = [re.findall(r'<details class="turn" id="t0-(\d+)-turn"', each) for each in pages]
    assert [int(number) for each in shown for number in each] == list(range(1, 301))
    assert re.findall(r'<details class="turn" id="t0-(\d+)-turn"', newest)[-1] == "300"
    assert 'href="?turns=3#t0-41"' in newest
    assert 'id="t0-41"' in pages[2]
    assert 'href="#t0-299"' in newest, "300 is drawn with it"
    navigation = newest.partition('aria-label="Pages of turns"')[2].partition("</nav>")[0]
    assert navigation.count("…") == 1


def test_a_page_of_turns_that_there_is_not_says_so(house: House) -> None:
    run = shelve(house.door, fixed())

    assert "No turn has begun on this page." in look(house, run, role("viewer"), query="?turns=99")


def test_the_page_of_a_spec_shows_what_its_tasks_ask(house: House) -> None:
    house.run("rspec1")
    house.run("rspec1-1", parent="rspec1", title="The first task")
    house.asks("rspec1-1")
    text = look(house, "rspec1", role("approver"))

    assert "The first task" in text
    assert "/runs/rspec1-1/approve" in Elements(text).forms()


def test_a_page_that_is_looked_at_grows_and_what_is_open_stays_open(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightmill.store.drafts.STAYS", 600.0)
    run = shelve(house.door, under_way())
    house.asks(run, kind="answer", title="Which one?")
    house.let_in("ada@example.org", role("operator"))
    with seen_by(house, "ada@example.org") as page:
        page.goto(f"/runs/{run}")
        page.locator("html[data-connection=live]").wait_for(state="attached")
        page.locator("#t0-1-turn > summary").click()
        page.locator("#decide article textarea").fill("the left")
        page.locator("h1").click()
        house.tell(e.TurnStarted(run=run, turn=3, role="developer", model="m"))
        page.locator("#t0-3-turn").wait_for(state="attached", timeout=60_000)

        assert page.locator("#t0-1-turn").get_attribute("open") is not None
        assert page.locator("#decide article textarea").input_value() == "the left"
        see_it_written(page, house, run)


def see_it_written(page: Page, house: House, run: str) -> None:
    """What the run writes is on its page as text while it is written, and gone when it is not."""
    drafts, box = Drafts(house.door.database), page.locator("#draft")

    def draft(attempt: str, *said: tuple[str, str, str]) -> Draft:
        pieces = tuple(Piece(kind=kind, name=name, text=text, cut=7) for kind, name, text in said)
        return Draft(run=run, role="developer", turn=3, attempt=attempt, pieces=pieces)

    written = [
        draft("a", ("text", "", "The first words")),
        draft("a", ("thinking", "", "Hm."), ("text", "", EVIL), ("call", EVIL, "{}"), ("output", "make", "it builds")),
        draft("b", ("text", "", "Another attempt")),
    ]
    drafts.put([(0, written[0])], begun={"a", "b"})
    box.get_by_text("… The first words", exact=True).wait_for(timeout=60_000)
    drafts.put([(1, written[1])], begun={"a", "b"})
    box.get_by_text("… it builds", exact=True).wait_for(timeout=60_000)
    assert box.locator("script, a, img").count() == 0
    assert EVIL in (box.locator("[data-kind=text] .say").text_content() or "")
    assert (box.locator("[data-kind=call] .name code").text_content() or "") == EVIL
    assert not Axe().run(page).violations_count
    beside = Piece(kind="text", name="", text="It stands there", cut=0, by="explorer 3.1")
    drafts.put([(2, replace(written[1], pieces=(*written[1].pieces, beside)))], begun={"a", "b"})
    box.get_by_text("explorer 3.1 writes", exact=True).wait_for(timeout=60_000)
    drafts.put([(0, written[2])], begun={"a", "b"})
    box.get_by_text("… Another attempt", exact=True).wait_for(timeout=60_000)
    assert box.locator("> div").count() == 1
    drafts.put([], gone=[written[2]])
    box.wait_for(state="hidden", timeout=60_000)
    assert box.locator("> div").count() == 0


def test_what_a_person_says_on_it_is_in_it_as_text_with_who_heard_it(house: House) -> None:
    house.run("ra1")
    house.tell(e.RunStarted(run="ra1", worker="w"))
    with house.browser("ada@example.org", role("operator")) as client:
        said = client.post("/runs/ra1/say", data={"text": EVIL})
        before = client.get("/runs/ra1", headers=HTML).text
        house.tell(e.WordHeard(run="ra1", number=1, turn=3, role="developer"))
        after = client.get("/runs/ra1", headers=HTML).text

    assert said.headers["location"] == "/runs/ra1"
    assert [word.by for word in house.door.runs.said("ra1")] == ["Ada <ada@example.org>"]
    assert "not heard yet" in before
    assert "heard by developer before its" in after
    for text in (before, after):
        assert "&lt;/title&gt;" in text
        assert '<script src="//evil' not in text


def test_who_only_looks_is_offered_no_word(house: House) -> None:
    house.run("ra1")
    assert "/runs/ra1/say" not in look(house, "ra1", role("viewer"))
