"""A whole story on PostgreSQL: two servers and a worker on one database, killed in the middle, and what people do meanwhile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from bench.stage import SCRIPTED, SPEC, Stage, adopt_orphans, descendants, shell, until
from nightmill.access import ACTS, Grant, hashed
from nightmill.sandbox.disk.layers import remove
from nightmill.store.chain import FORGOTTEN
from nightmill.store.keys import Keys
from nightmill.store.people import People
from tests.acceptance.test_process import OLD, RIGHT, edit, over, process, script
from tests.conftest import new_database
from tests.server.conftest import frames

pytestmark = pytest.mark.slow

STEPS = """
name: own
steps:
  - {id: implement, agent: developer, prompt: developer/task}
  - {id: proof, check: all}
  - {id: sure, approve: "Add it?", by: person}
  - {id: land, change: "{{ task.title }}"}
"""
WORD = "sleep 2.07"
"""The command that its developer runs."""
DEVELOPER = (edit(OLD, RIGHT), shell(WORD), over("Added."))
AT = re.compile(r"nightmill is at (http://127\.0\.0\.1:\d+);")


@pytest.fixture
def stage(tmp_path: Path, postgres: str) -> Iterator[Stage]:
    """A home whose store is on PostgreSQL, and whose commands find the programs of that server."""
    if not SCRIPTED.is_file():
        pytest.skip(f"the scripted model is not at {SCRIPTED} (set NIGHTMILL_SHARED)")
    adopt_orphans()
    with psycopg.connect(postgres) as connection:
        (programs,) = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone() or ("",)
    settings = {"NIGHTMILL_STORE": new_database(postgres), "NIGHTMILL_PLAN": "single", "ANTHROPIC_API_KEY": "key"}
    settings |= {"PATH": f"{programs}:{os.defpath}", "TMPDIR": str(tmp_path)}
    before, made = list(descendants()), Stage(tmp_path / "s", settings=settings)
    made.build()
    yield made
    made.end(but=before)
    made.store().close()
    remove(made.home)


@dataclass
class Server:
    """`nightmill serve` of *stage*, again where it was when it was killed."""

    stage: Stage
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        said = self.stage.folder / "said.log"
        before = len(AT.findall(said.read_text())) if said.exists() else 0
        self.process = self.stage.start("serve", "--port", self.url.rpartition(":")[2] or "0", "--workers", "0")
        self.url = until(lambda: AT.findall(said.read_text())[before:], what="the server")[0]


@dataclass
class Viewer:
    """Somebody who watches all that happens at the server *url*, and comes again when it breaks off."""

    url: str
    token: str
    seen: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    over: bool = False

    def watch(self) -> None:
        head = {"Authorization": f"Bearer {self.token}"}
        with httpx2.Client(base_url=self.url, headers=head, timeout=2) as client:
            while not self.over:
                try:
                    self._once(client)
                except httpx2.HTTPError:
                    time.sleep(0.05)

    def _once(self, client: httpx2.Client) -> None:
        last = {"Last-Event-ID": str(self.seen[-1] if self.seen else 0)}
        with client.stream("GET", "/api/v1/events", headers=last) as response:
            response.raise_for_status()
            for each in frames(response):
                if each["event"] == "resume":
                    return
                self.seen.append(int(each["id"]))
                self.names.append(each["event"])
                if self.over:
                    return


def token(stage: Stage, name: str, *grants: Grant) -> str:
    """A token of *name*, who was let in."""
    people = People(stage.store(), time.time)
    secret = people.invite(f"{name}@example.org", grants=grants, by="Root <root@example.org>")
    person = people.redeem(secret, name=name.title(), password=hashed("correct horse battery"))
    assert person is not None
    return Keys(stage.store(), time.time, known=people.known).make("t", owner=person, scopes=ACTS, seconds=3600)


def at(server: Server, token: str) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def test_a_run_goes_through_two_servers_and_a_worker_that_are_killed_and_everything_is_done_once(
    stage: Stage, postgres: str
) -> None:
    process(stage, STEPS)
    root = token(stage, "root", Grant(role="admin"))
    dana = token(stage, "dana", Grant(role="operator"), Grant(role="approver"))
    servers = [Server(stage), Server(stage)]
    with stage.model(script(DEVELOPER)) as model:
        stage.settings |= {"NIGHTMILL_MODEL": "anthropic:claude-sonnet-4-5", "NIGHTMILL_BASE_URL": model.url}
        worker = start(stage, servers)
        with watched(stage, servers, dana) as viewers:
            run = asked_for(stage, servers, dana)
            attended(servers, run, dana, root)
            until(lambda: WORD in descendants().values(), what="the command")

            for each in (worker, *(server.process for server in servers)):
                kill(each)
            start(stage, servers)

            until(lambda: stage.events("question_asked"), what="the question")
            decided(servers, run, dana)
            until(lambda: stage.run("spec").over, what="the end")
            assert stage.run("spec").state == "done", (stage.folder / "said.log").read_text()

    held(stage, viewers)
    keeps_secrets(stage)
    goes_through_a_backup(stage, new_database(postgres))
    forgets(stage, servers[1], root)


def start(stage: Stage, servers: list[Server]) -> subprocess.Popen[bytes]:
    """All servers and a worker, which is given."""
    for each in servers:
        each.start()
    return stage.start("worker")


def kill(process: subprocess.Popen[bytes] | None) -> None:
    assert process is not None
    process.kill()
    process.wait()


@contextmanager
def watched(stage: Stage, servers: list[Server], token: str) -> Iterator[list[Viewer]]:
    """One who watches at each server, until each has heard all that there is."""
    viewers = [Viewer(each.url, token) for each in servers]
    threads = [threading.Thread(target=each.watch) for each in viewers]
    for each in threads:
        each.start()
    try:
        yield viewers
        newest = stage.events()[-1].seq
        until(lambda: all(each.seen and each.seen[-1] >= newest for each in viewers), what="all to be heard")
    finally:
        for viewer in viewers:
            viewer.over = True
        for each in threads:
            each.join(60)


def asked_for(stage: Stage, servers: list[Server], token: str) -> str:
    """The one run that comes of one wish, which is sent six times at once to both servers."""
    (project,) = (path.parent.name for path in stage.home.glob("projects/*/hub.git"))
    wish, key = {"spec": SPEC, "blueprint": "own"}, {"Idempotency-Key": "one wish"}

    def ask(server: Server) -> httpx2.Response:
        with at(server, token) as client:
            return client.post(f"/api/v1/projects/{project}/runs", json=wish, headers=key)

    with ThreadPoolExecutor(6) as pool:
        answers = [*pool.map(ask, servers * 3)]
    assert {each.status_code for each in answers} <= {201, 409}, [each.text for each in answers]
    (run,) = {each.json()["id"] for each in answers if each.status_code == 201}
    assert ask(servers[1]).json()["id"] == run
    return str(run)


def attended(servers: list[Server], run: str, *tokens: str) -> None:
    """Those who look on at one server are seen at the other."""
    seen = []
    for number, (server, token) in enumerate(zip(servers, tokens, strict=True)):
        with at(server, token) as client:
            sign = {"terminal": str(number) * 10, "seconds": 60}
            seen.append(client.post(f"/api/v1/runs/{run}/attend", json=sign).json()["people"])
    assert seen == [[], ["Dana <dana@example.org>"]]


def decided(servers: list[Server], run: str, token: str) -> None:
    """Of several who decide at once, at both servers, one does."""

    def yes(server: Server) -> int:
        with at(server, token) as client:
            return client.post(f"/api/v1/runs/{run}/approve", json={}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(yes, servers * 2)) == [200, 409, 409, 409]


def held(stage: Stage, viewers: list[Viewer]) -> None:
    """All was done once, told once and heard once."""
    entries = stage.events()
    assert [each.seq for each in entries] == [*range(1, len(entries) + 1)]
    for each in viewers:
        assert each.seen[: len(entries)] == [entry.seq for entry in entries]
    told = Counter(each.name for each in entries)
    once = ("question_asked", "question_decided", "pull_request_opened")
    assert {name: told[name] for name in once} == dict.fromkeys(once, 1)
    assert told["run_recovered"], "its worker was killed"
    assert set(Counter(each.key for each in stage.events("turn_finished")).values()) == {1}
    assert stage.broken() is None


def keeps_secrets(stage: Stage) -> None:
    """What is kept as a secret is in no table."""
    done = subprocess.run(
        [sys.executable, "-m", "nightmill.cli", "secret", "set", "SHOP_TOKEN"], input=b"hunter2-hunter2\n", env=stage.environment,
        cwd=stage.repo, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with psycopg.connect(stage.settings["NIGHTMILL_STORE"]) as connection:
        assert "hunter2" not in dumped(connection)


def goes_through_a_backup(stage: Stage, store: str) -> None:
    """Another home and another database are as these, and know where they are."""
    file = stage.folder / "mill.tar"
    stage.call("backup", str(file))
    other = Stage(stage.folder / "elsewhere", settings={**stage.settings, "NIGHTMILL_STORE": store})
    other.folder.mkdir()
    other.repo.symlink_to(stage.repo)
    other.call("restore", str(file))

    assert [run.id for run in other.runs()] == [run.id for run in stage.runs()]
    assert other.broken() is None
    other.call("ledger", "verify")
    assert [each["number"] for each in other.pulls()] == [1]
    with psycopg.connect(store) as connection:
        assert connection.execute("SELECT hub FROM nightmill.project").fetchall() == [(str(other.hub.path),)]
        assert connection.execute("SELECT count(*) FROM nightmill.worker WHERE beat > 0").fetchone() == (0,)
    assert not (other.home / "postgresql.dump").exists()
    other.store().close()
    remove(other.home)


def forgets(stage: Stage, server: Server, admin: str) -> None:
    """Old words are in no table and in nothing that is taken along, and the chain holds."""
    with at(server, admin) as client:
        before = client.get("/ledger/export").text
        assert WORD in before
        assert len(before.splitlines()) == len(stage.events())
        stage.call("pr", "merge", "1")
        tomorrow = datetime.now(UTC).date() + timedelta(days=2)
        stage.call("ledger", "forget", "--before", tomorrow.isoformat())
        assert WORD not in client.get("/ledger/export").text
        assert client.post("/ledger/verify").status_code == 200
    assert stage.broken() is None
    assert "run_queued" in [each.name for each in stage.events() if each.body != FORGOTTEN]


def dumped(connection: psycopg.Connection[Any]) -> str:
    """All rows of all our tables."""
    names = connection.execute(
        "SELECT schemaname || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname IN ('nightmill', 'dbos')"
    )
    return json.dumps([connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names], default=str)  # type: ignore[call-overload]
