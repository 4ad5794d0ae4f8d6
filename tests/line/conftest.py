"""The line's machines, all real but the durable engine: a test plays that with what it remembers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from nightmill import crew, event
from nightmill import spec as specs
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.shelves import shipped
from nightmill.cli.door import Door
from nightmill.cli.serve import machines
from nightmill.durable.plain import checked
from nightmill.estate.file import load
from nightmill.estate.nouns import Project
from nightmill.line import submit
from nightmill.line.assignment import Assignment
from nightmill.line.control import Control
from nightmill.line.machines import Machines
from nightmill.line.steps import Body, Waiting
from nightmill.line.workplace import Workplace
from nightmill.model.connect import Client
from nightmill.repo import Hub
from nightmill.sandbox import Place, Service
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner
from nightmill.settings import Settings
from nightmill.store.runs import Wanted
from tests import whole

SOLO = Catalogue((shipped(),), {role.name: role for role in crew.find().roles}).closure("solo")
ADA = "Ada <ada@example.org>"


Story = Callable[[Workplace], Awaitable[None]]


Tell = Callable[[Story], None]


def teller(folder: Path, told: list[event.Event], *, file: tuple[str, str], services: tuple[Service, ...] = ()) -> Tell:
    """Tells stories in a workplace whose repository holds *file*, (name, text); its events go to *told*."""
    layer, directory = folder / "layer", folder / "run"
    (layer / "repo").mkdir(parents=True)
    (layer / "repo" / file[0]).write_text(file[1])
    give(layer, owner())
    directory.mkdir()

    def go(story: Story) -> None:
        async def all_of_it() -> None:
            place = Workplace(
                run="r1",
                place=Place(directory=directory, layers=(layer,), services=services),
                sandboxes=BubblewrapSandboxes(),
                emit=told.append,
                clock=lambda: 0.0,
            )
            try:
                await story(place)
            finally:
                await place.leave()

        asyncio.run(all_of_it())

    return go


@pytest.fixture
def told() -> list[event.Event]:
    """What a workplace has told."""
    return []


@dataclass
class Script:
    """Steps that run at once, with what a worker would pass on as messages, and results of children."""

    messages: list[dict[str, Any] | None] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    started: list[tuple[str, str]] = field(default_factory=list)
    meanwhile: list[Callable[[], dict[str, Any] | None]] = field(default_factory=list)
    """What happens while the run waits, each with the message that a worker would pass on."""

    async def step(self, name: str, body: Body) -> dict[str, Any]:
        self.steps.append(name)
        result: dict[str, Any] = json.loads(json.dumps(checked(await body(), what=name)))
        return result

    async def receive(self, topic: str, seconds: float) -> Any | None:
        assert topic == "control"
        self.waits.append(seconds)
        if self.meanwhile:
            return self.meanwhile.pop(0)()
        return self.messages.pop(0)

    async def start(self, run: str, workflow: str, *args: Any) -> None:
        assert args == (run,)
        self.started.append((run, workflow))

    async def result(self, run: str) -> Any:
        return self.ended.pop(0)


@dataclass
class World:
    """One home with one project and one run in it."""

    door: Door
    machines: Machines
    root: Path
    project: Project
    run: str = "r1"
    steps: Script = field(default_factory=Script)
    control: Control = field(default_factory=Control)
    rested: int = 0

    @property
    def hub(self) -> Hub:
        return self.machines.hub(self.project.id)

    def waiting(self) -> Waiting:
        return Waiting(run=self.run, machines=self.machines, steps=self.steps, control=self.control, rest=self.rest)

    async def rest(self) -> None:
        self.rested += 1

    def want(self, wanted: Wanted) -> dict[str, Any]:
        """Note a person's wish; the message that a worker would pass on."""
        self.machines.runs.want(self.run, wanted, by=ADA)
        wish = self.machines.runs.wanted([self.run])[self.run]
        return {"wanted": wish.wanted, "by": wish.by, "count": wish.count}

    def told(self) -> list[event.Event]:
        """What the ledger holds of the run, beyond that it was queued."""
        asyncio.run(self.machines.ledger.flush())
        return [entry.event() for entry in self.machines.ledger.read(run=self.run)][1:]

    def assignment(self, text: str = "", **changes: Any) -> Assignment:
        """What `submit` would make of a spec with *text*."""
        path = self.root.parent / "SPEC.md"
        path.write_text(text or whole.SPEC.format(title=""), encoding="utf-8")
        self.hub.create()
        commit = self.hub.advance("main", self.hub.take(self.root, "main"))
        made = Assignment(
            kind="spec",
            project=self.project,
            spec=specs.read(path),
            model="anthropic:m",
            base_url="",
            base_branch="main",
            base_commit=commit,
            target="main",
            budget=submit.budget(self.door.settings),
            max_tokens=1000,
            thinking=0,
            blueprints=SOLO.blueprints,
            answers="the release",
            by=ADA,
        )
        return replace(made, **changes)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A home, a checkout and a run."""
    root = whole.repository(tmp_path / "repo")
    door = Door(Settings(home=tmp_path / "home", model="anthropic:m"))
    made = machines(door, name="worker-1", http=cast("Client", None))  # no test here asks a provider
    made = replace(made, now=lambda: 1000.0, keys={})
    queued = event.RunQueued(run="r1", kind="spec", title="t", project="p", spec="s", model="m")
    made.runs.create(queued, assignment="a")
    yield World(door=door, machines=made, root=root, project=load(root))
    made.close()
    made.database.close()
