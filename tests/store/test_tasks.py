"""What runs left is listed once, and one run goes on with it, whatever happens at once or in between."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from nightmill.errors import SettingsError
from nightmill.event import (
    Event,
    PullRequestOpened,
    RunDone,
    RunParked,
    RunQueued,
    RunStopped,
    TaskDropped,
    TaskFiled,
    TaskStarted,
)
from nightmill.kept import Started
from nightmill.store import Database, Ledger, Runs
from nightmill.store.tasks import Tasks

ADA, BOB = "Ada <ada@example.org>", "Bob <bob@example.org>"
LEFT = TaskFiled(
    run="r1-1",
    task="r1-1-remainder",
    step="remainder",
    project="shop",
    title="A discount",
    findings=2,
    tree="a" * 40,
    commit="b" * 40,
    body="c" * 64,
)


def asked(run: str) -> RunQueued:
    return RunQueued(run=run, kind="task", title="A discount", project="shop", spec="s", model="m")


@pytest.fixture
def ledger(database: Database) -> Ledger:
    for run in ("r1", "r1-1"):
        Runs(database, lambda: 5.0).create(asked(run), assignment="blob")
    made = Ledger(database, lambda: 6.0)
    made.append([LEFT, RunParked(run="r1-1", reason="They do not agree.", needs="person")])
    return made


@pytest.fixture
def tasks(database: Database, ledger: Ledger) -> Tasks:
    return Tasks(database, lambda: 7.0)


def start(tasks: Tasks, run: str = "r2", *, by: str = ADA) -> Started:
    return tasks.start(LEFT.task, asked(run), assignment="other", by=by)


def told(ledger: Ledger) -> list[Any]:
    names = (TaskFiled.name, TaskStarted.name, TaskDropped.name)
    return [entry.event() for entry in ledger.read(names=names)]


def test_a_task_is_filed_once_however_often_it_is_told(tasks: Tasks, ledger: Ledger) -> None:
    ledger.append([LEFT, LEFT])
    ledger.append([LEFT])

    (found,) = tasks.list(states=("open",))
    assert (found.id, found.run, found.title, found.findings, found.head) == (
        LEFT.task, "r1-1", "A discount", 2, LEFT.commit,
    )  # fmt: skip
    assert told(ledger) == [LEFT]


def test_it_is_found_by_its_run_and_by_the_beginning_of_its_id(tasks: Tasks, ledger: Ledger) -> None:
    assert {tasks.get(name).id for name in ("r1-1", "r1", LEFT.task)} == {LEFT.task}
    ledger.append([replace(LEFT, run="r1-10", task="r1-10-remainder")])
    assert tasks.get("r1-1").id == LEFT.task
    with pytest.raises(SettingsError, match="the beginning of several"):
        tasks.get("r1")
    for name in ("", "r2", "%"):
        with pytest.raises(SettingsError, match="there is no task"):
            tasks.get(name)


def test_of_many_who_start_it_at_once_one_has_done_it_and_the_others_are_given_its_run(
    tasks: Tasks, ledger: Ledger, database: Database
) -> None:
    began, found = threading.Barrier(6), list[Started]()

    def go(number: int) -> None:
        began.wait()
        found.append(start(tasks, f"r{number}", by=f"P{number} <p{number}@example.org>"))

    threads = [threading.Thread(target=go, args=(number,)) for number in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (run,) = {each.run.id for each in found}
    assert sorted(each.new for each in found) == [False] * 5 + [True]
    assert [each.id for each in Runs(database, lambda: 0.0).list() if each.id not in {"r1", "r1-1"}] == [run]
    (_, started) = told(ledger)
    assert (started.child, started.by) == (run, f"P{run[1:]} <p{run[1:]}@example.org>")
    assert tasks.get(LEFT.task).state == "started"


def test_what_is_started_is_not_dropped_and_what_is_dropped_is_not_started(tasks: Tasks, ledger: Ledger) -> None:
    start(tasks)
    with pytest.raises(SettingsError, match=r"started: Ada .* run r2 goes on with it"):
        tasks.drop(LEFT.task, by=BOB, because="Not needed.")
    ledger.append([RunStopped(run="r2", why="failed", reason="It did not work.")])
    with pytest.raises(SettingsError, match="with a reason"):
        tasks.drop(LEFT.task, by=BOB, because=" ")

    dropped = tasks.drop(LEFT.task, by=BOB, because="Not needed\x00.")
    assert (dropped.state, dropped.by, dropped.because) == ("dropped", BOB, "Not needed\\0.")
    with pytest.raises(SettingsError, match=r"dropped: Bob .* dropped it: Not needed"):
        start(tasks, "r3")
    assert [type(each).name for each in told(ledger)] == ["task_filed", "task_started", "task_dropped"]


OPENED = PullRequestOpened(run="r2", number=1, branch="b", target="main", title="t")


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([RunParked(run="r2", reason="no room", needs="person")], "started"),
        ([RunStopped(run="r2", why="limit", reason="no money")], "open"),
        ([RunStopped(run="r2", why="cancelled", reason="Ada")], "open"),
        ([RunDone(run="r2")], "open"),
        ([OPENED, RunDone(run="r2", change=1)], "landed"),
        ([replace(LEFT, run="r2", task="r2-remainder")], "followed"),
        ([RunStopped(run="r1-1", why="failed", reason="answered")], "started"),
    ],
)
def test_what_becomes_of_its_run_becomes_of_it(tasks: Tasks, ledger: Ledger, events: list[Event], state: str) -> None:
    start(tasks)
    ledger.append(events)

    assert tasks.get(LEFT.task).state == state


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        (RunDone(run="r1-1", change=1), "settled"),
        (RunStopped(run="r1-1", why="cancelled", reason="Ada"), "settled"),
        (RunStopped(run="r1-1", why="failed", reason="somebody has seen it"), "open"),
    ],
)
def test_it_is_settled_when_the_run_that_left_it_goes_on_otherwise_or_is_cancelled(
    tasks: Tasks, ledger: Ledger, ended: Event, state: str
) -> None:
    ledger.append([ended])

    assert tasks.get(LEFT.task).state == state
    assert bool(tasks.list(states=("open", "started"))) is (state == "open")


def test_it_is_started_again_when_its_run_ended_without_a_change(tasks: Tasks, ledger: Ledger) -> None:
    assert start(tasks).new
    assert not start(tasks, "r3").new
    ledger.append([RunStopped(run="r2", why="failed", reason="It did not work.")])

    again = start(tasks, "r3", by=BOB)
    assert (again.run.id, again.new) == ("r3", True)
    assert (tasks.get(LEFT.task).child, tasks.get(LEFT.task).by) == ("r3", BOB)
