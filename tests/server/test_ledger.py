"""The page of the ledger: looked through by whoever may, verified when somebody has tampered, and taken along as evidence."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from nightmill import event as e
from nightmill.server import rolls
from nightmill.store import chain, export, search, tables
from tests.server.conftest import House, both, role
from tests.server.test_rooms import words

ADA = "Ada <ada@example.org>"


def rows(page: httpx2.Response) -> str:
    assert page.status_code == 200, page.text
    return words(page.text.partition("<tbody>")[2])


def tamper(house: House, seq: int, **values: object) -> None:
    with house.door.database.write() as connection:
        chain.lock(connection)
        connection.execute(sa.update(tables.event).where(tables.event.c.seq == seq).values(**values))


@both
@pytest.mark.parametrize(
    "asked",
    [
        {"words": "%' OR 1=1 --"},
        {"words": '" * NEAR( AND'},
        {"words": "[a-z]* .* \\ ("},
        {"words": "\x00"},
        {"words": "\u202e<script>alert(1)</script>"},
        {"words": " ".join("abcdefghijklmnopqrstuvwxyz")},
        {"who": "'; DROP TABLE event; --"},
        {"who": "(("},
        {"who": "\x00"},
        {"name": "run_%"},
        {"name": "\x00"},
        {"run": "r%"},
        {"run": "\x00"},
        {"since": "9999-12-31T23:59"},
        {"until": "0001-01-01"},
        {"before": "9007199254740992"},
    ],
)
def test_whatever_is_looked_for_the_page_answers(house: House, asked: dict[str, str]) -> None:
    house.run("rone")
    with house.browser("ada@example.org", role("viewer")) as client:
        page = client.get("/ledger", params=asked)

    assert page.status_code in {200, 422}, page.text
    assert "<script>alert" not in page.text


def test_the_page_finds_by_words_by_who_and_by_the_beginning_of_what_happened(house: House) -> None:
    house.run("rone")
    long = f"{'much before it ' * 20} the flux capacitor {'and much after it ' * 20}"
    house.tell(e.ReviewGiven(run="rone", step="look", role="reviewer", tree="t", approved=False, findings=[long]))
    with house.browser("ada@example.org", role("viewer", "shop")) as client:
        found = client.get("/ledger", params={"words": "FLUX"})
        assert "<mark>flux</mark> capacitor" in found.text, "it is seen, however long the text is"
        assert "review_given" not in rows(client.get("/ledger", params={"who": "developer"}))
        assert "review_given" in rows(client.get("/ledger", params={"who": "REVIEWER"}))
        assert "review_given" in rows(client.get("/ledger", params={"name": "Review g"}))
        assert "run_queued" not in rows(client.get("/ledger", params={"name": "review"}))
        assert "There is nothing such" in client.get("/ledger", params={"words": "flux", "who": "qa"}).text


def test_fields_stand_in_the_order_of_their_event_and_in_units_of_people(house: House) -> None:
    house.run("rone")
    usage = {"input": 10, "output": 5}
    turn = e.TurnFinished(
        run="rone", turn=1, role="developer", model="m", record="x", snapshot="y", usage=usage, cost=None, calls=1,
        seconds=0.00010898700000239505,
    )  # fmt: skip
    house.tell(turn, e.GrantChanged(run="rone", address="a@x.org", project="p", by=ADA, roles=["viewer", "admin"]))
    with house.browser("ada@example.org", role("viewer")) as client:
        text = rows(client.get("/ledger", params={"run": "rone"}))

    assert re.search(r"turn 1 role developer .*usage input 10, output 5 .*seconds 0 ms", text)
    assert "null" not in text
    assert "roles viewer, admin" in text


@pytest.mark.parametrize(
    "values",
    [
        {"body": '{"changed":1}'},
        {"body": "<no JSON"},
        {"body": "[" * 50_000},
        {"body": '{"seconds":1e999,"cost":NaN,"expires":1e300}'},
        {"body": "7"},
        {"at": 1e300},
        {"name": "<script>alert(1)</script>"},
        {"hash": "x"},
    ],
)
def test_a_row_that_somebody_wrote_by_hand_is_named_and_shown_where_it_stands(
    house: House, tmp_path: Path, values: dict[str, object]
) -> None:
    house.run("rone")
    house.tell(*[e.PhaseStarted(run="rone", phase="work", round=number) for number in range(200)])
    file = tmp_path / "ledger.jsonl"
    with house.browser("ada@example.org", role("viewer")) as client:
        file.write_bytes(client.get("/ledger/export").content)
        assert export.verify(file).broken is None
        tamper(house, 7, **values)
        page = client.post("/ledger/verify")
        listed = client.get("/ledger", params={"before": 9})
        file.write_bytes(client.get("/ledger/export").content)

    assert "the chain is broken" in page.text
    assert "Entry 7: the row was changed after it was written." in words(page.text)
    assert "The 6 entries before it hold" in words(page.text)
    assert re.search(r'<tr data-row class="broken"><td>7</td>', page.text), "among the newest hundred it is not"
    assert "<script>alert" not in page.text
    assert listed.status_code == 200
    broken = export.verify(file).broken
    assert broken is not None, "an export of it does not hold either"
    assert broken.seq == 7


def test_a_row_that_is_missing_is_named(house: House) -> None:
    house.run("rone")
    house.tell(*[e.PhaseStarted(run="rone", phase="work", round=number) for number in range(5)])
    with house.browser("ada@example.org", role("viewer")) as client:
        with house.door.database.write() as connection:
            chain.lock(connection)
            connection.execute(sa.delete(tables.event).where(tables.event.c.seq == 3))
        page = client.post("/ledger/verify")

    assert "Entry 3: the row is missing." in words(page.text)


@both
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"word": ["x"] * 9}, "at most 8"),
        ({"word": "x" * 201}, "at most 200"),
        ({"who": "x" * 201}, "at most 200"),
        ({"run": "x" * 201}, "at most 200"),
        ({"name": "nothing_such"}, "no event has a name that begins with 'nothing_such'"),
        ({"name": "run_queud"}, "run_queued"),
        ({"since": "yesterday"}, "valid number"),
        ({"until": "nan"}, "finite"),
        ({"since": "1e300"}, "less than"),
        ({"before": "-1"}, "greater than"),
        ({"before": "9007199254740993"}, "less than"),
        ({"before": "x"}, "valid integer"),
        ({"limit": "0"}, "greater than"),
        ({"limit": "201"}, "less than"),
        ({"run": "\x00"}, ""),
    ],
)
def test_what_cannot_be_looked_for_is_a_problem_that_says_why(house: House, asked: dict[str, Any], said: str) -> None:
    house.run("rone")
    with house.program("ada@example.org", role("viewer")) as client:
        answer = client.get("/api/v1/ledger/search", params=asked)

    if "\x00" in asked.values() and answer.status_code == 200:
        assert answer.json() == {"entries": [], "next": None}, "SQLite takes it for a text like any other"
        return
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.text


@both
def test_it_is_looked_through_page_by_page_by_words_who_what_run_and_time(house: House) -> None:
    house.run("rone")
    house.run("rtwo")
    house.tell(*[e.PhaseStarted(run="rone", phase=f"café {at} {'even' if at % 2 else 'odd'}") for at in range(10)])
    with house.program("ada@example.org", role("viewer")) as client:

        def found(**asked: Any) -> list[int]:
            answer = client.get("/api/v1/ledger/search", params=asked)
            assert answer.status_code == 200, answer.text
            return [each["seq"] for each in answer.json()["entries"]]

        last = found(limit=1)[0]
        walked, before = list[int](), 0
        while before is not None:
            page = client.get("/api/v1/ledger/search", params={"word": ["CAFÉ", "odd"], "limit": 2, "before": before})
            walked += [each["seq"] for each in page.json()["entries"]]
            before = page.json()["next"]
        at = client.get("/api/v1/ledger/search", params={"limit": 1}).json()["entries"][0]["at"]
        assert walked == [each for each in found(name="phase", run="rone") if each in walked]
        assert len(walked) == 5
        assert found(run="rtwo", name="run_q") == found(word="rtwo")
        assert found(who="ada@example.org") == found(word="ada@example.org")
        assert found(since=at + 10_000) == found(until=1.0) == []
        assert last in found(since=at - 10, until=at + 10)


def test_a_row_that_somebody_wrote_by_hand_is_found_as_it_stands(house: House) -> None:
    house.run("rone")
    house.tell(e.PhaseStarted(run="rone", phase="work"))
    tamper(house, 1, body="<cart \x9b")
    with house.program("ada@example.org", role("viewer")) as client:
        answer = client.get("/api/v1/ledger/search", params={"word": "<CART"})

    assert [each["body"] for each in answer.json()["entries"]] == ["<cart \x9b"]


@both
@pytest.mark.parametrize("others", [0, 40])
def test_whoever_sees_one_project_finds_nothing_of_others_and_is_not_told_that_they_are(
    house: House, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Neither by what is found, nor by how often one has to ask, nor by the number at which one goes on."""
    monkeypatch.setattr(search, "LOOKED_THROUGH", 6)
    house.run("rshop1")
    house.run("rbarn1", project="barn", title="Paint the barn")
    for at in range(14):
        house.tell(*[e.PhaseStarted(run="rbarn1", phase=f"cart {at} of barn {each}") for each in range(others)])
        house.tell(e.PhaseStarted(run="rshop1", phase=f"cart {at}"))
    house.tell(e.GrantChanged(run="", address="cart@x.org", project="barn", by=ADA, roles=["viewer"]))
    own = [each.seq for each in house.door.ledger.read(run="rshop1")]
    with house.program("eve@example.org", role("admin", "shop")) as client:
        pages = list[Any]()
        for word in ("cart", "barn", "rbarn", "nobody has said that"):
            before = 0
            while before is not None:
                asked = {"word": word, "limit": 4, "before": before}
                pages.append(client.get("/api/v1/ledger/search", params=asked).json())
                before = pages[-1]["next"]
        of_barn = client.get("/api/v1/ledger/search", params={"run": "rbarn"}).json()

    shape = [
        ([own.index(each["seq"]) for each in page["entries"]], page["next"] and own.index(page["next"]))
        for page in pages
    ]
    assert shape[:4] == [([14, 13, 12, 11], 11), ([10, 9, 8, 7], 7), ([6, 5, 4, 3], 3), ([2, 1, 0], None)]
    nothing = [([], 9), ([], 3), ([], None)]
    assert shape[4:] == nothing * 3, "the same of what is said elsewhere as of what nobody has said"
    assert of_barn == {"entries": [], "next": None}


def test_nobody_has_many_searches_at_once_and_they_do_not_keep_others_from_theirs(house: House) -> None:
    house.run("rone")
    with ExitStack() as stack:
        for _ in range(rolls.SEARCHES):
            stack.enter_context(rolls.looked_through("ada@example.org"))
        with house.program("ada@example.org", role("viewer")) as client:
            refused = client.get("/api/v1/ledger/search")
        with house.program("eve@example.org", role("viewer")) as client:
            let_in = client.get("/api/v1/ledger/search")
    assert (refused.status_code, refused.headers["retry-after"], let_in.status_code) == (429, "2", 200)
    assert rolls.looking == {}


def test_whoever_sees_one_project_is_offered_neither_the_proof_nor_the_export_of_all(house: House) -> None:
    house.run("rone")
    with house.browser("ada@example.org", role("admin", "shop")) as client:
        page = client.get("/ledger")
        refused = [client.post("/ledger/verify").status_code, client.get("/ledger/export").status_code]

    assert "Verify" not in page.text
    assert "Export" not in page.text
    assert refused == [403, 403]
