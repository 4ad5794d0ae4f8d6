"""Writes with an `Idempotency-Key` whose server is killed: what was done is done once, and the key is free again soon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.stage import until
from nightmill.estate.file import load
from nightmill.server import receipts
from nightmill.store import projects
from nightmill.store.database import Database
from tests import whole
from tests.server.conftest import House, both, role

SERVER = """
import os, signal, sys, threading
from pathlib import Path
import sqlalchemy as sa
from nightmill.desk.door import Door
from nightmill.server import receipts
from nightmill.settings import load
from tests.server.conftest import House

home, store, moment = sys.argv[1:]
door = Door(load(file={}, environment={}, flags={"home": Path(home), "store": store}))
held = receipts._Sent

def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def marked(self, connection, mark=held.mark):
    mark(self, connection)
    end()

if moment == "before it is written":
    held.mark = marked  # what was written goes with the transaction
elif moment == "once it is written":
    receipts.json.dumps = lambda value, dumps=receipts.json.dumps, **more: end() if "id" in value else dumps(value, **more)
house = House(door)
house.start()
print(house.port, flush=True)
threading.Event().wait()
"""

MOMENTS = ("before it is written", "once it is written")


def killed(house: House, moment: str, path: str, headers: dict[str, str], asked: Any) -> None:
    """Ask another server on the same store, which is killed with -9 at *moment*."""
    store = str(house.door.settings.store)
    words = [sys.executable, "-c", SERVER, str(house.door.settings.home), store, moment]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            with pytest.raises(httpx2.TransportError):
                httpx2.post(f"http://127.0.0.1:{port}{path}", json=asked, headers=headers, timeout=60)
        finally:
            server.kill()


@both
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_word_whose_server_is_killed_is_said_once(house: House, moment: str) -> None:
    house.run("rone")
    path, asked = "/api/v1/runs/rone/say", {"text": "Use cents."}
    with house.program("ada@example.org", role("operator")) as client:
        headers = {"Idempotency-Key": "k", "Authorization": client.headers["Authorization"]}
        killed(house, moment, path, headers, asked)
        assert len(house.door.runs.said("rone")) == (moment == "once it is written")

        early = client.post(path, json=asked, headers=headers)
        house.clock.now += receipts.LEASE + 1
        again = [client.post(path, json=asked, headers=headers) for _ in range(2)]

    assert (early.status_code, early.headers["retry-after"]) == (409, "30")
    assert [each.status_code for each in again] == [200, 200]
    assert [each.text for each in house.door.runs.said("rone")] == ["Use cents."]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_whose_server_is_killed_is_asked_for_once(house: House, tmp_path: Path, moment: str) -> None:
    root = whole.repository(tmp_path / "calc")
    project = load(root).id
    projects.keep(house.door.database, projects.Known(id=project, root=root, hub=tmp_path / "hub", added=0.0))
    path, asked = f"/api/v1/projects/{project}/runs", {"spec": whole.SPEC.format(title=""), "model": "anthropic:m"}
    with house.program("ada@example.org", role("operator")) as client:
        headers = {"Idempotency-Key": "k", "Authorization": client.headers["Authorization"]}
        killed(house, moment, path, headers, asked)
        before = [run.id for run in house.door.runs.list()]
        house.clock.now += receipts.LEASE + 1
        again = client.post(path, json=asked, headers=headers)
        other = client.post(path, json=asked, headers={"Idempotency-Key": "another"})

    assert again.status_code == 201, again.text
    assert before in ([], [again.json()["id"]])
    assert len(before) == (moment == "once it is written")
    assert {run.id for run in house.door.runs.list()} == {again.json()["id"], other.json()["id"]}
    assert again.json()["id"] != other.json()["id"]


def test_who_is_only_slow_keeps_the_key(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "LEASE", 0.3)
    held = take(house.door.database)
    with held.alive(house.door.database):
        until(lambda: at(house.door.database) > house.clock() + 0.5)


def test_one_that_lost_the_key_writes_nothing_any_more(house: House) -> None:
    house.run("rone")
    slow = take(house.door.database)
    take(house.door.database, now=house.clock() + receipts.LEASE + 1)
    with house.door.database.also(slow.mark), pytest.raises(receipts.Refused, match="under way"):
        house.door.runs.say("rone", "Use cents.", by="Ada <ada@example.org>")

    assert house.door.runs.said("rone") == []


def take(database: Database, *, now: float = 1_800_000_000.0) -> receipts._Sent:
    held = receipts._begin(database, receipts._Sent(who="ada@example.org", key="k", asked="a", now=now))
    assert isinstance(held, receipts._Sent)
    return held


def at(database: Database) -> float:
    with database.read() as connection:
        return float(connection.execute(receipts.sa.select(receipts.receipt.c.at)).scalar_one())
