"""Results of checks are kept by what decides them, the newest of each, and not for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nightmill.store import Database, results
from nightmill.store.results import Key, Result

KEY = Key(project="p", environment="e", tree="t", command="make test")
RESULT = Result(run="r", turn=3, exit=1, output="no", seconds=2.5, at=10.0)


def test_the_newest_result_of_the_very_same_thing_is_found(database: Database) -> None:
    results.keep(database, KEY, RESULT)
    results.keep(database, KEY, replace(RESULT, turn=4, output="nul \0"))

    assert results.find(database, KEY) == replace(RESULT, turn=4, output="nul \\0")
    for name in ("project", "environment", "tree", "command"):
        assert results.find(database, replace(KEY, **{name: "another"})) is None


def test_the_oldest_go_by_number_and_by_age(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT", 3)
    for number in range(6):
        results.keep(database, replace(KEY, tree=str(number)), replace(RESULT, at=float(number)))
    results.keep(database, replace(KEY, project="q"), replace(RESULT, at=0.0))

    kept = [number for number in range(6) if results.find(database, replace(KEY, tree=str(number)))]
    assert kept == [3, 4, 5]
    assert results.prune(database, now=31 * 86400.0) == 4
