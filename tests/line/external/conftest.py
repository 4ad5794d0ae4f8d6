"""An external agent at work in a real sandbox, with a provider of its own and a run's steps played by hand."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nightmill import agent, event
from nightmill.agent.external import External
from nightmill.errors import NightmillError, from_plain
from nightmill.line import brief as briefs
from nightmill.line.assignment import Assignment
from nightmill.line.control import Control
from nightmill.line.entrance import Entrance, with_agent
from nightmill.line.external import ExternalWork
from nightmill.line.machines import Machines
from nightmill.line.record import read_record
from nightmill.line.workplace import Workplace
from nightmill.model.connect import client
from nightmill.plan import Task
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner
from tests.line.conftest import World
from tests.line.external.provider import KEY, Provider

TASK = Task(id="T1", title="Add", instruction="Make it add.", criteria=("AC1",))
ACTOR = Path(__file__).with_name("actor.py")


ASK: dict[str, Any] = {"ask": {}}
DONE = {"say": "It adds.\n\nAC1: test_calc.Sums", "stop": "end_turn"}


def touch(name: str) -> dict[str, Any]:
    return {"call": f"echo {name} > {name}"}


@dataclass
class Stage:
    """One run whose worker is the actor; a `life` of it is one worker process."""

    assignment: Assignment
    machines: Machines
    folder: Path
    layer: Path
    provider: Provider
    events: list[event.Event] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    snapshot: str = ""
    work: ExternalWork | None = None

    @property
    def live(self) -> ExternalWork:
        assert self.work is not None
        return self.work

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Stage]:
        """A worker that has the run in hand, from what was recorded; it ends without a word."""
        entrance = Entrance()
        place = with_agent(
            Place(directory=self.folder / "sandbox", layers=(self.layer,)), self.assignment.agent, entrance
        )
        workplace = Workplace(
            run="r1", place=place, sandboxes=BubblewrapSandboxes(), emit=self.events.append, clock=self.machines.clock
        )
        assert self.assignment.agent is not None
        self.work = ExternalWork(
            run="r1",
            machines=self.machines,
            assignment=self.assignment,
            agent=self.assignment.agent,
            brief=replace(BRIEF, model=self.assignment.model),
            workplace=workplace,
            control=Control(),
            entrance=entrance,
            folder=self.folder,
        )
        for body in self.records:
            self.live.state = self.live.after(read_record(body))
        if not self.snapshot:
            await workplace.stand_at("")
            self.snapshot = await workplace.keep()
        try:
            yield self
        finally:
            await self.live.forget()
            await workplace.leave()

    async def turn(self) -> agent.TurnRecord | NightmillError | str:
        """One turn and its checkpoint, as the run takes it; or the error, or the wish, that it gave instead."""
        result = await asyncio.wait_for(self.live.turn(self.snapshot), 60)
        if "error" in result:
            return from_plain(result["error"])
        if "wanted" in result:
            return str(result["wanted"])
        body = self.machines.blobs.get(result["record"])
        self.records.append(body)
        self.snapshot, record = result["snapshot"], read_record(body)
        self.live.state = self.live.after(record)
        return record

    async def turns(self) -> agent.TurnRecord:
        """Turns until the work has an ending."""
        while True:
            found = await self.turn()
            assert isinstance(found, agent.TurnRecord), found
            if found.ending is not None:
                return found

    async def sh(self, text: str) -> str:
        workspace = await self.live.workplace.stand_at(self.snapshot)
        return (await workspace.run(Command(argv=("bash", "-c", text)))).text

    async def prompts(self) -> list[str]:
        """What the agent was told, as its own home remembers it."""
        found: list[str] = json.loads(await self.sh("cat ~/.actor/session.json"))["prompts"]
        return found

    def told(self, kind: type[event.Event]) -> list[Any]:
        return [each for each in self.events if isinstance(each, kind)]


async def until(look: Callable[[], Any]) -> None:
    """Wait until *look* gives something true."""
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110 - another process answers
            await asyncio.sleep(0.02)


BRIEF = briefs.Brief(role="developer-actor", model="", system=(), anchor="The task.", prompts={}, conversation="c")

Play = Callable[..., None]


@pytest.fixture
def play(world: World, tmp_path: Path) -> Play:
    """Play a story with an agent that plays *acts*; *flags* are its own, the rest changes the stage."""

    def go(
        story: Callable[[Stage], Awaitable[None]],
        *acts: dict[str, Any],
        flags: tuple[str, ...] = (),
        provider: Provider | None = None,
        budget: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        worker = External(
            name="actor",
            argv=("/usr/bin/python3", "/opt/agents/actor.py", json.dumps(acts), *flags),
            model="openai:gpt-4o",
            show={"/opt/agents/actor.py": ACTOR},
            env={"MODEL_KEY": "placeholder"},
        )
        layer = tmp_path / "layer"
        (layer / "repo").mkdir(parents=True)
        (layer / "repo" / "a").write_text("one\n")
        give(layer, owner())
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "sandbox").mkdir()

        async def whole() -> None:
            async with (provider or Provider()).serve() as peer, client(world.machines.settings) as http:
                made = replace(
                    world.machines,
                    client=http,
                    keys={"openai": KEY},
                    settings=replace(world.machines.settings, **(settings or {})),
                )
                assignment = world.assignment(
                    kind="task", task=TASK, agent=worker, model=worker.model, base_url=peer.url
                )
                assignment = replace(assignment, budget=replace(assignment.budget, **(budget or {})))
                stage = Stage(assignment=assignment, machines=made, folder=folder, layer=layer, provider=peer)
                stage.machines = replace(made, ledger=_Told(made.ledger, stage.events))  # type: ignore[arg-type]
                await asyncio.wait_for(story(stage), 120)

        asyncio.run(whole())

    return go


class _Told:
    """The ledger, and a list of what it was told."""

    def __init__(self, ledger: Any, events: list[event.Event]) -> None:
        self._ledger, self._events = ledger, events

    def emit(self, told: event.Event) -> None:
        self._events.append(told)
        self._ledger.emit(told)
