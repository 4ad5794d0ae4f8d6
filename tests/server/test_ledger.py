"""The page of the ledger: looked through by whoever may, verified when somebody has tampered, and taken along as evidence."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from nightmill import event as e
from nightmill.store import chain, export, tables
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


def test_whoever_sees_one_project_is_offered_neither_the_proof_nor_the_export_of_all(house: House) -> None:
    house.run("rone")
    with house.browser("ada@example.org", role("admin", "shop")) as client:
        page = client.get("/ledger")
        refused = [client.post("/ledger/verify").status_code, client.get("/ledger/export").status_code]

    assert "Verify" not in page.text
    assert "Export" not in page.text
    assert refused == [403, 403]
