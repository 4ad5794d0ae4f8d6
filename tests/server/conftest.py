"""A real server on a real socket, in a thread of its own, and people of every role who come to it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightmill import event as e
from nightmill.access import ACTS, EVERY, Grant, Person, RoleName, hashed
from nightmill.desk.door import Door
from nightmill.server import process
from nightmill.server.feed import Feed
from nightmill.server.site import Site
from nightmill.server.source import LedgerSource
from nightmill.settings import load
from nightmill.store import projects
from nightmill.store.drafts import Drafts
from nightmill.store.keys import Keys
from nightmill.store.people import People
from nightmill.store.questions import Question

ROOT = "Root <root@example.org>"
PASSWORD = hashed("correct horse battery")
TREE = "a" * 40
UNUSED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that never come to use it: to read whom a machine trusts takes 20 ms of each."""


@dataclass
class Clock:
    """Unix seconds that a test moves."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """A site with its store, served at *url* once `start` was called."""

    door: Door
    clock: Clock = field(default_factory=Clock)
    local: Person | None = None
    site: Site = field(init=False)
    port: int = 0
    origin: str = ""
    _stop: Callable[[], None] | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve; again on the same port, if it was served before."""
        people = People(self.door.database, self.clock)
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        self.site = Site(
            door=self.door,
            people=people,
            keys=Keys(self.door.database, self.clock, known=people.known),
            feed=Feed(LedgerSource(self.door), Drafts(self.door.database)),
            origin=self.origin or self.url,
            clock=self.clock,
            local=self.local,
        )
        ready = threading.Event()

        async def serve() -> None:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            assert task is not None
            self._stop = lambda: loop.call_soon_threadsafe(task.cancel)  # type: ignore[arg-type]
            await process.run(self.site, socket=listening, ready=ready.set)

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()))
        self._thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._stop and self._thread:
            self._stop()
            self._thread.join(60)
            assert not self._thread.is_alive()
            self._stop = self._thread = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # Who comes

    def let_in(self, address: str, *grants: Grant) -> Person:
        """Somebody with *grants* and the usual password; the projects of these are there, if only by name."""
        known = {each.id for each in projects.known(self.door.database)}
        for project in {each.project for each in grants} - known - {EVERY}:
            nowhere = self.door.settings.home / "nowhere"
            projects.keep(self.door.database, projects.Known(id=project, root=nowhere, hub=nowhere, added=0.0))
        secret = self.site.people.invite(address, grants=grants, by=ROOT)
        person = self.site.people.redeem(secret, name=address.partition("@")[0].title(), password=PASSWORD)
        assert person is not None
        return person

    def browser(self, address: str, *grants: Grant) -> httpx2.Client:
        """A browser in which they are signed in."""
        self.let_in(address, *grants)
        client = httpx2.Client(base_url=self.url, headers={"Origin": self.url}, verify=UNUSED, timeout=60)
        client.cookies.set(self.site.cookie, self.site.keys.begin(address))
        return client

    def program(self, address: str, *grants: Grant, scopes: Any = ACTS) -> httpx2.Client:
        """A program with a token of theirs."""
        owner = self.let_in(address, *grants)
        token = self.site.keys.make("test", owner=owner, scopes=scopes, seconds=3600)
        shown = {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=self.url, headers=shown, verify=UNUSED, timeout=60)

    def nobody(self) -> httpx2.Client:
        """Who shows nothing."""
        return httpx2.Client(base_url=self.url, verify=UNUSED, timeout=60)

    # What there is

    def run(self, name: str, *, project: str = "shop", parent: str = "", title: str = "Mend the cart") -> None:
        """A run that was asked for."""
        queued = e.RunQueued(run=name, kind="task", title=title, project=project, spec="s", model="m", parent=parent)
        self.door.runs.create(queued, assignment="a")

    def asks(self, run: str, *, kind: Any = "approve", **more: Any) -> str:
        """A question of *run*."""
        named = {"id": f"{run}/look/{kind}", "run": run, "step": "look", "kind": kind, "title": "Merge the cart?"}
        about = {"tree": TREE, "policy": "p"} if kind == "approve" else {}
        return self.door.questions.ask(Question(**{**named, **about, **more})).id

    def leaves(self, run: str, *, project: str = "shop", **more: Any) -> str:
        """A task that *run* left."""
        named = {"run": run, "task": f"{run}-rest", "step": "rest", "project": project, "title": "Mend <b>it</b>"}
        what = {"findings": 2, "tree": TREE, "commit": "b" * 40, "body": "c" * 64}
        told = e.TaskFiled(**{**named, **what, **more})
        self.tell(told)
        return told.task

    def tell(self, *events: e.Event) -> None:
        """Tell the ledger."""
        self.door.ledger.append(events)


def role(name: RoleName, project: str = "") -> Grant:
    return Grant(role=name, project=project)


def frames(response: httpx2.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream, each with its id, name and data."""
    found: dict[str, Any] = {}
    for line in response.iter_lines():
        if not line:
            if "data" in found:
                yield found
            found = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = json.loads(value) if name == "data" else value


def door_of(home: Path, **flags: Any) -> Door:
    """A store in *home*, with no settings but *flags*."""
    return Door(load(file={}, environment={}, flags={"home": home, **flags}))


@contextmanager
def served(door: Door, *, clock: Clock | None = None, port: int = 0) -> Iterator[House]:
    """A server of the store behind *door*, which is closed with it."""
    made = House(door, clock or Clock(), port=port)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        door.ledger.close()
        door.database.close()


both = pytest.mark.parametrize("house", ["sqlite", "postgresql"], indirect=True)
"""For tests of what is different in the two databases."""


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """A server that runs."""
    apart = getattr(request, "param", "sqlite") == "postgresql"
    store = {"store": request.getfixturevalue("fresh_postgres")} if apart else {}
    with served(door_of(tmp_path / "home", **store)) as made:
        yield made
