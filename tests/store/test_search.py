"""Looking through the ledger finds what is there and nothing else, whatever is asked, and never goes through more than is bounded."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from nightmill import event as e
from nightmill.store import Database, Ledger, Runs, chain, search, tables
from nightmill.store.search import Found, Wanted

ADA = "Ada Ängström <ada@example.org>"


def told(database: Database, *events: e.Event, at: float = 5.0) -> None:
    Ledger(database, lambda: at).append(events)


def run(database: Database, name: str, project: str = "shop") -> None:
    queued = e.RunQueued(run=name, kind="task", title="t", project=project, spec="s", model="m")
    Runs(database, lambda: 5.0).create(queued, assignment="a")


def said(run: str, words: str, by: str = ADA) -> e.Event:
    return e.GrantChanged(run=run, address="x", project=words, by=by)


def names(found: Found) -> list[str]:
    return [each.name for each in found.entries]


def numbers(found: Found) -> list[int]:
    return [each.seq for each in found.entries]


def look(database: Database, limit: int = 100, **wanted: object) -> Found:
    return search.search(database, Wanted(**wanted), limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "finds"),
    [
        (["cart"], 1),
        (["CART", "mend"], 1),
        (["cart", "barn"], 0),
        (["ÄRGER"], 1),
        (["ärger"], 1),
        (["%"], 1),
        (["c_rt"], 0),
        (["mend%cart"], 0),
        (["'); DROP TABLE event; --"], 0),
        (['"quoted"'], 1),
        (["\\"], 1),
        (["/"], 1),
        (["r0"], 1),
        (["grant"], 1),
        (["run0"], 0),
        (["\x00"], 0),
    ],
)
def test_words_are_found_as_they_are_written_and_none_is_a_pattern(
    database: Database, words: Sequence[str], finds: int
) -> None:
    told(database, said("r0", 'Mend the cart: "quoted", 100% Ärger, C:\\temp, a/b'))

    assert len(look(database, words=words).entries) == finds


@pytest.mark.parametrize(
    ("who", "finds"),
    [("ada@", 1), ("ängström", 1), ("Ada Ä", 1), ("developer", 1), ("reviewer", 0), ("a_a", 0), (".*", 0), ("cart", 0)],
)
def test_who_is_found_where_somebody_is_named_and_nowhere_else(database: Database, who: str, finds: int) -> None:
    told(
        database,
        said("r0", 'the reviewer of the cart said "by":"reviewer'),
        e.MistakeMade(run="r0", project="p", role="developer", model="m", kind="claim", on="t"),
    )

    assert len(look(database, who=who).entries) == finds


def test_only_entries_of_runs_of_the_projects_are_found_and_those_of_a_run_however_old(database: Database) -> None:
    run(database, "rshop1")
    run(database, "rbarn1", "barn")
    told(database, said("", "of no run"))

    assert numbers(look(database)) == [3, 2, 1]
    assert numbers(look(database, projects=["shop"])) == [1]
    assert numbers(look(database, projects=[])) == []
    assert numbers(look(database, run="rbarn")) == [2]
    assert numbers(look(database, run="rbarn", projects=["shop"])) == []
    assert numbers(look(database, run="RBARN")) == []
    assert numbers(look(database, run="r_arn")) == []


def test_a_time_is_found_where_clocks_differed_and_what_is_outside_of_it_is_not(database: Database) -> None:
    for at in (1000.0, 900.0, 5000.0, 100_000.0, 99_000.0, 200_000.0):
        told(database, said("r0", "x"), at=at)

    assert numbers(look(database, since=950.0, until=100_000.0)) == [5, 3, 1]
    assert numbers(look(database, since=99_500.0)) == [6, 4]
    assert numbers(look(database, until=950.0)) == [2]


def test_pages_hold_all_of_it_once_while_more_is_told(database: Database) -> None:
    told(database, *[said("r0", "even" if number % 2 else "odd") for number in range(40)])
    seen, before = list[int](), 0
    while True:
        page = look(database, 3, words=["odd"], before=before)
        seen += numbers(page)
        told(database, said("r0", "odd, later"))
        if not (before := page.further):
            break

    assert seen == list(range(39, 0, -2))


def test_no_more_is_gone_through_than_is_bounded_and_where_that_ended_is_said(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_THROUGH", 10)
    monkeypatch.setattr(search, "PIECE", 4)
    monkeypatch.setattr(search, "FEW", 0)
    told(database, said("r0", "seldom"), *[said("r0", "often") for _ in range(24)])
    seen, before, looks = list[int](), 0, 0
    while True:
        found = look(database, words=["seldom"], before=before)
        seen, looks = seen + numbers(found), looks + 1
        if not (before := found.further):
            break

    assert (seen, looks) == ([1], 3)


def test_rows_that_somebody_wrote_by_hand_do_not_keep_others_from_being_found(database: Database) -> None:
    told(database, said("r0", "cart"), said("r0", "cart"))
    with database.write() as connection:
        chain.lock(connection)
        connection.execute(sa.update(tables.event).where(tables.event.c.seq == 1).values(body="<cart"))

    assert numbers(look(database, words=["cart"])) == [2, 1]
    assert numbers(look(database, words=["cart"], who="ada")) == [2]


@pytest.mark.parametrize("few", [0, 50])
@pytest.mark.parametrize("others", [0, 1, 30])
def test_who_sees_one_project_goes_through_its_entries_alone_and_hears_of_no_others(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: int, others: int
) -> None:
    monkeypatch.setattr(search, "LOOKED_THROUGH", 10)
    monkeypatch.setattr(search, "PIECE", 4)
    monkeypatch.setattr(search, "FIRST", 4)
    monkeypatch.setattr(search, "FEW", few)
    run(database, "rshop1")
    run(database, "rbarn1", "barn")
    told(database, said("rshop1", "seldom"))
    for _ in range(24):
        told(database, *[said("rbarn1", "seldom")] * others, said("rshop1", "often"))
    told(database, *[said("rbarn1", "seldom")] * others, said("", "seldom"))
    own = [each.seq for each in Ledger(database, lambda: 5.0).read(run="rshop1")]
    seen, before, went = list[int](), 0, list[int]()
    while True:
        found = look(database, words=["seldom"], projects=["shop"], before=before)
        seen += numbers(found)
        if not (before := found.further):
            break
        went.append(own.index(before))

    assert seen == [own[1]]
    assert went == [len(own) - 10, len(own) - 20], "it went through ten of its own each time, and names one of them"


def test_somebody_in_everything_is_found_without_holding_all_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PIECE", 4)
    monkeypatch.setattr(search, "FIRST", 4)
    run(database, "rshop1")
    told(database, *[said("rshop1", "often") for _ in range(24)])
    made = list[int]()
    entry = search.Entry
    monkeypatch.setattr(search, "Entry", lambda **row: made.append(row["seq"]) or entry(**row))

    assert numbers(look(database, 3, who="ada", projects=["shop"])) == [25, 24, 23]
    assert made == [25, 24, 23, 22]
