from __future__ import annotations

import asyncio
import itertools
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nightmill import event as events
from nightmill.errors import EngineError
from nightmill.event import AgentNudged, RunDone, RunQueued, RunRecovered, RunStarted, RunStopped, TurnFinished
from nightmill.store import Database, Ledger, Runs
from tests.conftest import Python

TELL = """
import sys
from nightmill.event import RunRecovered
from nightmill.store import Database, Ledger
database = Database.open(sys.argv[1])
ledger = Ledger(database, lambda: 1.0)
for at in range(int(sys.argv[3])):
    ledger.emit(RunRecovered(run=sys.argv[2], worker=str(at)))
    if at % 7 == 0:
        ledger.flush_sync()
ledger.close()
"""


def clock() -> Any:
    numbers = itertools.count()
    return lambda: float(next(numbers))


def queued(run: str = "r1", **changes: Any) -> RunQueued:
    fields = {"kind": "task", "title": "Mend it", "project": "p", "spec": "s", "model": "m", **changes}
    return RunQueued(run=run, **fields)


def turn(number: int, *, run: str = "r1", cost: float | None = 0.25) -> TurnFinished:
    usage = {"input": 100, "cache_read": 90, "output": 10}
    return TurnFinished(
        run=run,
        turn=number,
        role="developer",
        model="m",
        record="",
        snapshot="",
        usage=usage,
        cost=cost,
        calls=1,
        seconds=1.0,
    )


def test_told_events_come_back_in_order_with_the_time_they_were_told(database: Database) -> None:
    ledger = Ledger(database, clock())
    told = [RunStarted(run="r1", worker="w"), turn(1), turn(2), RunDone(run="r1")]

    for event in told:
        ledger.emit(event)
    asyncio.run(ledger.flush())

    entries = ledger.read()
    assert [entry.event() for entry in entries] == told
    assert [(entry.seq, entry.at) for entry in entries] == [(1, 0.0), (2, 1.0), (3, 2.0), (4, 3.0)]
    assert [entry.seq for entry in ledger.read(after=1, names={"turn_finished"}, limit=1)] == [2]
    assert ledger.read(run="r2") == []
    assert ledger.last() == 4
    assert ledger.verify() is None
    ledger.close()


def test_an_event_is_what_it_was_when_it_was_told(database: Database) -> None:
    ledger, items = Ledger(database, clock()), [{"text": "first", "state": "doing"}]

    ledger.emit(events.TodoChanged(run="r1", turn=1, items=items))
    items.clear()
    ledger.close()

    assert json.loads(ledger.read()[0].body)["items"] == [{"text": "first", "state": "doing"}]


def test_a_recovered_run_that_tells_again_is_recorded_and_counted_once(database: Database) -> None:
    Runs(database, clock()).create(queued(), assignment="a")
    ledger = Ledger(database, clock())

    assert ledger.append([turn(1), turn(2), turn(2)]) == 2
    assert ledger.append([turn(1), turn(2), turn(3), AgentNudged(run="r1", turn=3, guard="g", message="m")]) == 2
    assert ledger.append([AgentNudged(run="r1", turn=3, guard="g", message="m")]) == 1

    run = Runs(database, clock()).get("r1")
    assert (run.turns, run.tokens, run.cost, run.priced) == (3, 330, 0.75, True)
    ledger.append([turn(4, cost=None)])
    assert Runs(database, clock()).get("r1").priced is False


def test_a_run_that_ended_is_not_brought_back_by_what_is_told_late(database: Database) -> None:
    runs, ledger = Runs(database, clock()), Ledger(database, clock())
    runs.create(queued(), assignment="a")

    ledger.append([RunStarted(run="r1", worker="w1"), RunStopped(run="r1", why="limit", reason="100 turns\0 \ud800")])
    ledger.append([RunRecovered(run="r1", worker="w2"), turn(9)])

    run = runs.get("r1")
    assert (run.state, run.why, run.worker, run.turns) == ("stopped", "limit", "w1", 1)
    assert run.reason == "100 turns\\0 \\ud800"


def test_two_processes_and_a_thread_that_append_at_once_make_one_chain(
    database: Database, url: str, python: Python
) -> None:
    others = [python(TELL, url, name, 200) for name in ("a", "b")]
    ledger = Ledger(database, clock())
    while any(process.poll() is None for process in others):
        ledger.append([RunRecovered(run="c", worker="w")])

    assert [process.returncode for process in others] == [0, 0]
    assert [len(ledger.read(run=name)) for name in ("a", "b")] == [200, 200]
    assert ledger.verify() is None


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ('UPDATE event SET body = \'{"worker":"x"}\' WHERE seq = 3', 3),
        ("UPDATE event SET at = 0.5 WHERE seq = 2", 2),
        ("DELETE FROM event WHERE seq = 2", 2),
        ("UPDATE event SET run = 'x' WHERE seq = 1", 1),
        ("UPDATE event SET seq = 7 WHERE seq = 5", 5),
        ("UPDATE event SET key = 'x' WHERE seq = 4", 4),
        ("UPDATE event SET name = 'run_done' WHERE seq = 4", 4),
    ],
)
def test_what_was_tampered_with_is_found(database: Database, sql: str, broken: int) -> None:
    ledger = Ledger(database, clock())
    ledger.append([RunRecovered(run="r", worker=str(at)) for at in range(5)])
    assert ledger.verify() is None

    with database.write() as connection:
        connection.exec_driver_sql(sql)

    found = ledger.verify()
    assert found is not None
    assert found.seq == broken, found.reason


def test_a_row_rewritten_with_a_right_hash_of_its_own_breaks_the_next(database: Database) -> None:
    ledger, forged = Ledger(database, clock()), Ledger(database, clock())
    ledger.append([RunRecovered(run="r", worker=str(at)) for at in range(3)])
    with database.write() as connection:
        kept = connection.execute(sa.text("SELECT * FROM event WHERE seq > 1 ORDER BY seq")).mappings().all()
        connection.exec_driver_sql("DELETE FROM event WHERE seq > 1")
    forged.append([RunRecovered(run="r", worker="forged")])
    with database.write() as connection:
        values = "(:seq, :at, :run, :name, :key, :body, :previous, :hash)"
        connection.execute(sa.text(f"INSERT INTO event VALUES {values}"), [dict(row) for row in kept[1:]])

    found = ledger.verify()

    assert found is not None
    assert (found.seq, found.reason) == (3, "the row does not follow the one before it")

    with database.write() as connection:
        connection.exec_driver_sql("UPDATE event SET previous = (SELECT hash FROM event WHERE seq = 2) WHERE seq = 3")
    found = ledger.verify()
    assert found is not None
    assert (found.seq, found.reason) == (3, "the row was changed after it was written")


def test_fifty_events_cost_a_few_commits_and_not_fifty(database: Database) -> None:
    ledger, commits = Ledger(database, clock()), []
    sa.event.listen(database.engine, "commit", lambda _: commits.append(1))

    for number in range(50):
        ledger.emit(turn(number))
    ledger.flush_sync()

    assert len(ledger.read()) == 50
    assert len(commits) <= 5
    ledger.close()


def test_a_store_that_cannot_be_written_never_fails_the_teller_and_surfaces_at_flush(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/store.db")
    ledger = Ledger(database, clock())
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE event RENAME TO away")

    ledger.emit(RunRecovered(run="r", worker="w"))
    with pytest.raises(EngineError, match="the ledger cannot be written: no such table"):
        ledger.flush_sync()
    with pytest.raises(EngineError):
        asyncio.run(ledger.flush())

    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO event")
    ledger.flush_sync()
    assert [entry.run for entry in ledger.read()] == ["r"]
    ledger.close()
    database.close()


def test_an_event_that_can_never_be_stored_is_reported_and_holds_up_no_other(database: Database) -> None:
    ledger = Ledger(database, clock(), bound=60)

    ledger.emit(AgentNudged(run="r1", turn=1, guard="g", message=object()))  # type: ignore[arg-type]
    for number in range(20):
        ledger.emit(turn(number, run=f"r{number}"))
    with pytest.raises(EngineError, match="agent_nudged is not plain data"):
        ledger.flush_sync()

    ledger.flush_sync()
    assert len(ledger.read()) == 20
    ledger.close()


def test_a_row_that_the_database_refuses_is_dropped_alone(fresh_postgres: str) -> None:
    database = Database.open(fresh_postgres)
    ledger = Ledger(database, clock())

    for number in range(20):
        ledger.emit(RunRecovered(run="nul \0" if number == 13 else "r", worker=str(number)))
    with pytest.raises(EngineError, match="1 events were lost"):
        ledger.flush_sync()

    assert [json.loads(entry.body)["worker"] for entry in ledger.read()] == [str(n) for n in range(20) if n != 13]
    assert ledger.verify() is None
    database.close()


def test_more_events_than_the_memory_holds_are_lost_aloud(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/store.db")
    ledger = Ledger(database, clock(), bound=10)
    with database.write():  # the writer waits for this transaction
        for number in range(11):
            ledger.emit(turn(number))

    with pytest.raises(EngineError, match="1 events were lost; the first: turn_finished came when the memory"):
        ledger.flush_sync()
    assert len(ledger.read()) == 10
    ledger.close()
    database.close()


def test_a_kill_leaves_a_whole_chain_and_telling_again_makes_it_complete(tmp_path: Path, python: Python) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    database = Database.open(url)
    ledger = Ledger(database, clock())
    endless = python(TELL, url, "victim", 1_000_000)
    while ledger.last() < 20:
        threading.Event().wait(0.01)
    endless.kill()
    endless.wait()

    assert ledger.verify() is None
    assert ledger.append([turn(1), turn(2)]) == 2
    assert ledger.append([turn(1), turn(2), turn(3)]) == 1
    assert ledger.verify() is None
    database.close()


def test_keys_that_are_long_or_hostile_still_tell_events_apart(database: Database) -> None:
    ledger = Ledger(database, clock())

    def check(name: str) -> events.CheckFinished:
        return events.CheckFinished(run="r", round=0, check=name, tree="t", passed=True, result={}, output="")

    names = ["x" * 500 + "a", "x" * 500 + "b", "nul \0", "lone \ud800", "lone \ud801"]
    assert ledger.append([check(name) for name in names]) == 5
    assert ledger.append([check(name) for name in names]) == 0
    assert [entry.event().check for entry in ledger.read()] == names  # type: ignore[attr-defined]


def test_a_number_before_a_time_is_found_without_reading_what_lies_between(url: str) -> None:
    database, now = Database.open(url), [0.0]
    ledger = Ledger(database, lambda: now[0])
    for number, at in enumerate((10.0, 20.0, 20.0, 30.0, 40.0)):
        now[0] = at
        ledger.append([RunStarted(run=f"r{number}", worker="w")])
    numbers = [entry.seq for entry in ledger.read()]

    found = [len([each for each in numbers if each > ledger.before(at)]) for at in (0.0, 10.0, 15.0, 20.0, 35.0, 41.0)]
    assert found == [5, 5, 4, 4, 1, 0]
    database.close()
