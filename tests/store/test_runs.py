from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from nightmill.errors import SettingsError
from nightmill.event import RunDone, RunParked, RunQueued, RunResumed, RunStarted
from nightmill.store import Database, Ledger, Runs, Wish, Workers, process, projects
from tests.conftest import Python


@pytest.fixture
def runs(database: Database) -> Runs:
    numbers = itertools.count()
    return Runs(database, lambda: float(next(numbers)))


def queued(run: str, **changes: Any) -> RunQueued:
    fields = {"kind": "task", "title": "Mend it", "project": "p", "spec": "s", "model": "m", **changes}
    return RunQueued(run=run, **fields)


def test_a_run_and_its_first_event_are_made_together_and_once(runs: Runs, database: Database) -> None:
    first = runs.create(queued("abc1", parent="top", title="Nul \0"), assignment="blob")
    again = runs.create(queued("abc1", parent="top"), assignment="blob")

    assert first == again
    assert (first.state, first.model, first.assignment, first.title, first.parent) == (
        "queued",
        "m",
        "blob",
        "Nul \\0",
        "top",
    )
    assert [entry.name for entry in Ledger(database, lambda: 0.0).read()] == ["run_queued"]


def test_a_run_is_found_by_a_unique_beginning_of_its_id(runs: Runs) -> None:
    for name in ("abc1", "abc12", "xyz", "a%b"):
        runs.create(queued(name), assignment="")

    assert runs.get("x").id == "xyz"
    assert runs.get("abc1").id == "abc1"
    with pytest.raises(SettingsError, match="several runs: abc1, abc12"):
        runs.get("abc")
    for name in ("nope", "", "%", "ABC12"):
        with pytest.raises(SettingsError):
            runs.get(name)


def test_runs_are_listed_newest_first_and_filtered(runs: Runs, database: Database) -> None:
    for name, project, parent in (("one", "p", ""), ("two", "q", ""), ("three", "q", "two")):
        runs.create(queued(name, project=project, parent=parent), assignment="")
    Ledger(database, lambda: 9.0).append([RunStarted(run="one", worker="w")])

    assert [run.id for run in runs.list()] == ["three", "two", "one"]
    assert [run.id for run in runs.list(projects=["q"], limit=1)] == ["three"]
    assert [run.id for run in runs.list(parent="two")] == ["three"]
    assert [run.id for run in runs.list(states=("running",))] == ["one"]
    assert [run.id for run in runs.queued()] == ["two", "three"]


def test_a_run_that_waits_says_for_whom_and_no_longer_than_it_waits(runs: Runs, database: Database) -> None:
    runs.create(queued("one"), assignment="")
    ledger = Ledger(database, lambda: 9.0)

    ledger.append([RunParked(run="one", reason="the provider is down", needs="time", until=99.0)])
    assert (runs.get("one").state, runs.get("one").why) == ("parked", "time")
    ledger.append([RunResumed(run="one", by="clock")])
    assert (runs.get("one").state, runs.get("one").why) == ("running", "")


def test_what_people_want_is_kept_with_who_wants_it(runs: Runs, database: Database) -> None:
    for name in ("one", "two", "three"):
        runs.create(queued(name), assignment="")

    runs.want("one", "pause", by="ada")
    runs.want("two", "cancel", by="bob")

    assert runs.wanted(["one", "two", "none"]) == {
        "one": Wish(wanted="pause", by="ada", count=1),
        "two": Wish(wanted="cancel", by="bob", count=1),
    }
    assert runs.wanted([]) == {}
    assert [(run.id, run.wanted) for run in runs.queued()] == [("one", "pause"), ("two", "cancel"), ("three", "run")]
    with pytest.raises(SettingsError, match="was cancelled"):
        runs.want("two", "run", by="ada")
    Ledger(database, lambda: 9.0).append([RunDone(run="three")])
    with pytest.raises(SettingsError, match="is done"):
        runs.want("three", "pause", by="ada")


def test_a_worker_is_dead_when_its_process_is_gone_or_replaced_or_silent_elsewhere(
    database: Database, python: Python
) -> None:
    workers, here = Workers(database), process.host()
    gone = python("")
    gone.wait()
    me = {"host": here, "pid": os.getpid(), "version": "1"}
    workers.register(id="me", started=process.started(os.getpid()), **me)
    workers.register(id="replaced", started="1", **me)
    workers.register(id="gone", host=here, pid=gone.pid, started="5", version="1")
    workers.register(id="elsewhere", host="far", pid=1, started="1", version="1")

    def dead(stale: float) -> list[str]:
        return [each.id for each in workers.dead(host=here, is_process_alive=process.is_alive, stale_seconds=stale)]

    assert dead(60) == ["gone", "replaced"]
    assert dead(-1) == ["gone", "replaced", "elsewhere"]
    assert {each.id for each in workers.alive(stale_seconds=60)} == {"me", "replaced", "gone", "elsewhere"}


def test_a_worker_that_was_given_up_learns_it_at_its_next_beat(database: Database) -> None:
    workers = Workers(database)
    workers.register(id="w", host="far", pid=1, started="1", version="1")
    (found,) = workers.dead(host="here", is_process_alive=process.is_alive, stale_seconds=-1)

    assert workers.beat("w")
    assert not workers.give_up(found), "it has beaten since it was found silent"
    (found,) = workers.alive(stale_seconds=60)
    assert workers.give_up(found)
    assert [each.id for each in workers.dead(host="here", is_process_alive=process.is_alive, stale_seconds=60)] == ["w"]
    workers.end("w")
    assert workers.dead(host="here", is_process_alive=process.is_alive, stale_seconds=-1) == []
    assert not workers.beat("w")
    assert workers.beat("w")


def test_projects_and_baselines_are_kept_and_replaced(database: Database, tmp_path: Any) -> None:
    known = projects.Known(id="p", root=tmp_path, hub=tmp_path / "hub", added=1.0)
    projects.keep(database, known)
    projects.keep(database, known)
    known_before: list[str | None] = []

    def become(body: str) -> Callable[[str | None], str]:
        return lambda before: known_before.append(before) or body

    for at, body in enumerate(("{}", '{"a":1}')):
        kept = projects.keep_baseline(database, project="p", tree="t", checks="c", change=become(body), at=float(at))
        assert kept == body
    assert known_before == [None, "{}"]

    assert projects.known(database) == [known] == [projects.get(database, "p")]
    assert projects.baseline(database, project="p", tree="t", checks="c") == '{"a":1}'
    assert projects.baseline(database, project="p", tree="t", checks="d") is None
    with pytest.raises(SettingsError, match="no project 'q'"):
        projects.get(database, "q")


def test_what_many_learn_of_one_baseline_at_once_all_adds_up(database: Database) -> None:
    """Two runs that prove at the same time, the first of them before there is anything to add to."""
    start = Barrier(8)

    def learn(_: int) -> None:
        start.wait()
        for _ in range(5):
            projects.keep_baseline(
                database, project="p", tree="t", checks="c", change=lambda found: str(int(found or "0") + 1), at=1.0
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(learn, range(8)))
    assert projects.baseline(database, project="p", tree="t", checks="c") == "40"


def test_what_people_say_is_counted_and_told_in_their_names_both_or_neither(runs: Runs, database: Database) -> None:
    ledger = Ledger(database, lambda: 9.0)
    runs.create(queued("one"), assignment="")
    runs.say("on", "Use cents.", by="ada")
    runs.say("one", "And \0 tests.", by="bob")

    assert [(each.number, each.by, each.text) for each in runs.said("one")] == [
        (1, "ada", "Use cents."),
        (2, "bob", "And \\0 tests."),
    ]
    assert [each.number for each in runs.said("one", after=1)] == [2]
    assert runs.wanted(["one"]) == {"one": Wish(wanted="run", by="", count=0, words=2)}

    for text in ("  \n", "x" * 20_001):
        with pytest.raises(SettingsError, match="can be said"):
            runs.say("one", text, by="ada")
    ledger.append([RunDone(run="one")])
    with pytest.raises(SettingsError, match="is done and hears nothing"):
        runs.say("one", "Too late.", by="ada")
    assert [entry.name for entry in ledger.read(run="one")].count("word_said") == runs.get("one").words == 2


def test_words_that_are_said_at_once_have_a_number_each(runs: Runs) -> None:
    runs.create(queued("one"), assignment="")
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda number: runs.say("one", f"word {number}", by="ada"), range(12)))

    assert [each.number for each in runs.said("one")] == list(range(1, 13))


def test_a_run_can_be_asked_for_with_the_first_word_that_it_hears(runs: Runs, database: Database) -> None:
    for _ in range(2):
        runs.create(queued("one"), assignment="", said="Leave no mark.", by="ada")
    with pytest.raises(SettingsError, match="can be said"):
        runs.create(queued("two"), assignment="", said=" ", by="ada")

    assert [each.text for each in runs.said("one")] == ["Leave no mark."]
    assert [run.words for run in runs.list()] == [1]
