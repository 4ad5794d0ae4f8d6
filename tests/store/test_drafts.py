"""What runs write just now: of one attempt at a time, for as long as its worker says so, and only of what is watched."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from nightmill.event import RunDone, RunQueued
from nightmill.kept import Draft, Piece
from nightmill.store import Database, Ledger, Runs, tables
from nightmill.store.drafts import Drafts


@pytest.fixture
def drafts(database: Database) -> Drafts:
    return Drafts(database)


def draft(run: str = "r1", attempt: str = "a", text: str = "I look") -> Draft:
    piece = Piece(kind="text", name="", text=text, cut=0)
    return Draft(run=run, role="developer", turn=1, attempt=attempt, pieces=(piece,))


def there(drafts: Drafts) -> dict[str, str]:
    return {run: each.pieces[0].text for run, (_, each) in drafts.read(list(drafts.marks())).items()}


def test_who_watches_a_run_watches_what_it_started_and_nothing_that_is_over(database: Database, drafts: Drafts) -> None:
    runs = Runs(database, lambda: 1.0)
    for run, parent in (("r1", ""), ("r1-1", "r1"), ("r1-1-1", "r1-1"), ("r1-2", "r1"), ("r2", "")):
        asked = RunQueued(run=run, kind="task", title="t", project="p", spec="s", model="m", parent=parent)
        runs.create(asked, assignment="a")
    Ledger(database, lambda: 1.0).append([RunDone(run="r1-2")])

    def watched() -> set[str]:
        found = runs.wanted(["r1", "r1-1", "r1-1-1", "r1-2", "r2"])
        return {run for run, wish in found.items() if wish.watched}

    assert watched() == set()
    for _ in range(2):
        assert drafts.watch(["r1"], seconds=60.0) == {"r1", "r1-1", "r1-1-1"}
        assert watched() == {"r1", "r1-1", "r1-1-1"}
    drafts.watch(["r1"], seconds=-1.0)
    drafts.watch(["r2"], seconds=60.0)
    assert watched() == {"r2"}
    with database.read() as connection:
        assert connection.execute(sa.select(tables.watch.c.run)).scalars().all() == ["r2"], "the others are forgotten"


def test_a_draft_is_in_place_of_the_one_before_and_goes_when_it_is_over(drafts: Drafts) -> None:
    drafts.put([(1, draft()), (1, draft("r2", "b"))], begun={"a", "b"})
    before = drafts.marks()
    assert not drafts.put([(2, draft(text="I look at it \N{PILE OF POO}")), (1, draft("r2", "b"))])
    assert there(drafts) == {"r1": "I look at it \N{PILE OF POO}", "r2": "I look"}
    assert {run for run, mark in drafts.marks().items() if mark != before[run]} == {"r1"}
    drafts.put([], gone=[draft(), draft("r2", "of another attempt")])
    assert there(drafts) == {"r2": "I look"}


def test_two_attempts_are_never_mixed_and_the_later_one_counts(drafts: Drafts) -> None:
    """As when a worker that was taken for dead writes on."""
    drafts.put([(9, draft(attempt="a"))], begun={"a"})
    assert not drafts.put([(1, draft(attempt="b", text="Anew"))], begun={"b"})
    assert drafts.put([(10, draft(attempt="a", text="I look at it"))]) == {"r1"}
    drafts.put([], gone=[draft(attempt="a")])
    assert there(drafts) == {"r1": "Anew"}


def test_nothing_is_there_of_a_worker_that_says_no_more(
    database: Database, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightmill.store.drafts.STAYS", -1.0)
    drafts.put([(1, draft())], begun={"a"})
    assert there(drafts) == {}
    drafts.watch(["r1"], seconds=60.0)
    with database.read() as connection:
        assert not connection.execute(sa.select(tables.draft.c.run)).all()
    monkeypatch.undo()
    assert not drafts.put([(1, draft(text="It was only slow"))])
    assert there(drafts) == {"r1": "It was only slow"}
