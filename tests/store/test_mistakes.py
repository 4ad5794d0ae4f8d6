"""What roles did wrong of late is found in the ledger by its keys: once each, of the last runs of one project."""

from __future__ import annotations

from collections.abc import Iterator

from nightmill import event
from nightmill.store import Database, mistakes
from nightmill.store.ledger import Ledger
from nightmill.store.runs import Runs


def clock() -> Iterator[float]:
    at = 0.0
    while True:
        at += 1.0
        yield at


def queued(runs: Runs, name: str, *, project: str = "shop", kind: str = "task") -> None:
    runs.create(
        event.RunQueued(run=name, kind=kind, title="t", project=project, spec="s", model="m"),
        assignment="a",
    )


def mistake(run: str, on: str, *, kind: str = "claim", project: str = "shop") -> event.MistakeMade:
    return event.MistakeMade(run=run, project=project, role="developer", model="m", kind=kind, on=on)


def test_a_mistake_counts_once_however_often_it_is_told_and_only_in_its_project(database: Database) -> None:
    times = clock()
    runs, ledger = Runs(database, lambda: next(times)), Ledger(database, lambda: next(times))
    for name, project in (("r1", "shop"), ("r2", "shop"), ("r3", "bank")):
        queued(runs, name, project=project)
    told = [mistake("r1", "tree a"), mistake("r2", "tree a"), mistake("r1", "ü/%", kind="refusal")]
    assert ledger.append(told) == 3
    assert ledger.append(told) == 0
    ledger.append([mistake("r3", "tree a", project="bank"), event.WorkPreserved(run="r1", branch="b", commit="c")])

    found = mistakes.recent(database, "shop", runs=50)
    assert [(each.run, each.kind, each.on) for each in found] == [
        ("r1", "claim", "tree a"),
        ("r2", "claim", "tree a"),
        ("r1", "refusal", "ü/%"),
    ]
    assert [each.run for each in mistakes.recent(database, "bank", runs=50)] == ["r3"]
    assert mistakes.recent(database, "nobody's", runs=50) == []


def test_what_has_not_happened_for_so_many_runs_is_over(database: Database) -> None:
    times = clock()
    runs, ledger = Runs(database, lambda: next(times)), Ledger(database, lambda: next(times))
    for number in range(5):
        queued(runs, f"r{number}")
        queued(runs, f"s{number}", kind="spec")
        ledger.append([mistake(f"r{number}", "tree")])

    assert [each.run for each in mistakes.recent(database, "shop", runs=3)] == ["r2", "r3", "r4"]
