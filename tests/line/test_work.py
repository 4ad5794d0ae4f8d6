"""An agent's turns: what of the next one is done while a turn is not stored yet, and what becomes of it if it never is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from nightmill.agent import TurnRecord
from nightmill.line import brief as briefs
from nightmill.line.asking import Asking
from nightmill.line.control import Control
from nightmill.line.journal import Journal
from nightmill.line.knowledge import Knowledge
from nightmill.line.record import read_record
from nightmill.line.results import CheckResults
from nightmill.line.words import unheard
from nightmill.line.work import Work
from nightmill.line.workplace import Workplace
from nightmill.model import Text
from nightmill.model.connect import client
from nightmill.plan import single
from nightmill.sandbox import Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner
from nightmill.tool import developing
from tests.line.conftest import ADA, World


def shell(command: str) -> dict[str, Any]:
    return {"text": "", "tool_calls": [{"name": "run_command", "arguments": {"command": command}}]}


@dataclass
class Stage:
    """One agent at work, who is asked for its turns one by one."""

    world: World
    work: Work
    model: Any
    snapshot: str = ""

    async def turn(self) -> TurnRecord:
        """One turn, and its checkpoint."""
        made = await self.work.turn(self.snapshot)
        self.snapshot = self.store(made)
        return self.record(made)

    def record(self, made: dict[str, Any]) -> TurnRecord:
        return read_record(self.world.machines.blobs.get(made["record"]))

    async def tools(self, count: int) -> None:
        """Wait until so many calls have ended."""
        async with asyncio.timeout(30):
            while True:
                await self.world.machines.ledger.flush()
                if len(self.world.machines.ledger.read(names={"tool_finished"})) >= count:
                    return
                await asyncio.sleep(0.01)

    def store(self, made: dict[str, Any]) -> str:
        """Do what a run does once a turn is stored; its snapshot."""
        self.work.state = self.work.after(read_record(self.world.machines.blobs.get(made["record"])))
        return str(made["snapshot"])

    @property
    def asked(self) -> int:
        return len(self.model.log())


Story = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def tell(world: World, tmp_path: Path, scripted: Any) -> Callable[..., None]:
    """Tell a story of an agent that runs these commands, or does these acts, one a turn."""
    layer, directory = tmp_path / "layer", tmp_path / "run"
    (layer / "repo").mkdir(parents=True)
    give(layer, owner())
    directory.mkdir()

    def go(story: Story, *acts: str | dict[str, Any]) -> None:
        model = scripted({"turns": [shell(each) if isinstance(each, str) else each for each in acts]})

        async def all_of_it() -> None:
            async with client(world.machines.settings) as http:
                machines = replace(world.machines, client=http, keys={"anthropic": "a"})
                assignment = world.assignment(base_url=model.url)
                assignment = replace(assignment, kind="task", task=single(assignment.spec).tasks[0])
                place = Workplace(
                    run="r1",
                    place=Place(directory=directory, layers=(layer,)),
                    sandboxes=BubblewrapSandboxes(),
                    emit=machines.ledger.emit,
                    clock=machines.clock,
                )
                common: dict[str, Any] = {"run": "r1", "machines": machines, "assignment": assignment}
                journal = Journal(machines.folder("r1") / "replies")
                work = Work(
                    **common,
                    brief=await asyncio.to_thread(briefs.developer, assignment, run="r1", hub=world.hub),
                    tools=developing(assignment.model),
                    asking=Asking(**common, role=briefs.role("developer", assignment), journal=journal),
                    workplace=place,
                    control=world.control,
                    knowledge=Knowledge(**common),
                    results=CheckResults(**common, environment="e"),
                )
                try:
                    await story(Stage(world, work, model))
                finally:
                    await work.forget()
                    await place.leave()

        asyncio.run(all_of_it())

    return go


def test_the_next_tools_run_before_a_turn_is_stored_and_nothing_is_asked_for_them(tell: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        first = await stage.work.turn("")
        await stage.tools(2)
        await asyncio.sleep(0.1)
        assert stage.asked == 2, "what the second turn leads to waits for the first to be stored"

        snapshot = stage.store(first)
        second = await stage.work.turn(snapshot)
        assert second["snapshot"] != snapshot
        stage.store(second)
        assert "1\n2" in stage.work.state.messages[-1].parts[0].text  # type: ignore[union-attr]

    tell(story, "echo 1 > /work/repo/n", "echo 2 >> /work/repo/n; cat /work/repo/n", "true")


def test_what_was_done_early_is_undone_when_the_turn_before_it_is_never_stored(tell: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.work.turn("")
        await stage.tools(2)
        await stage.work.forget()
        asked = stage.asked

        again = await stage.work.turn("")
        snapshot = stage.store(again)
        stage.store(await stage.work.turn(snapshot))
        assert "1\n2" in stage.work.state.messages[-1].parts[0].text  # type: ignore[union-attr]
        assert "2\n2" not in stage.work.state.messages[-1].parts[0].text  # type: ignore[union-attr]
        assert stage.asked <= asked + 1, "both replies were in the journal"

    tell(story, "echo 1 >> /work/repo/n", "echo 2 >> /work/repo/n; cat /work/repo/n", "true")


def test_a_pause_drops_what_was_begun_and_the_turn_is_taken_again(tell: Callable[..., None], world: World) -> None:
    async def story(stage: Stage) -> None:
        snapshot = stage.store(await stage.work.turn(""))
        world.control.want("pause", "Ada")
        assert await stage.work.turn(snapshot) == {"wanted": "pause", "by": "Ada"}
        world.control.want("run", "Ada")
        stage.store(await stage.work.turn(snapshot))
        assert stage.work.state.messages[-1].parts[0].text.startswith("1\n2\n")  # type: ignore[union-attr]

    tell(story, "echo 1 > /work/repo/n", "sleep 0.3; echo 2 >> /work/repo/n; cat /work/repo/n", "true")


DONE: dict[str, Any] = {
    "text": "",
    "tool_calls": [
        {"name": "finish", "arguments": {"summary": "Done.", "evidence": [{"criterion": "AC1", "by": "sh"}]}}
    ],
}


def texts(stage: Stage) -> list[str]:
    """All that the agent was told that is no result of a tool, oldest first."""
    said = [part for message in stage.work.state.messages if message.role == "user" for part in message.parts]
    return [part.text for part in said if isinstance(part, Text)]


def say(world: World, text: str) -> None:
    """Say it, as a worker's next look passes it on."""
    world.control.said(world.machines.runs.say("r1", text, by=ADA).words)


def test_what_is_said_is_heard_once_in_the_next_request_and_stands_in_the_record_of_its_turn(
    tell: Callable[..., None], world: World
) -> None:
    async def story(stage: Stage) -> None:
        say(world, "Use cents.")
        first = await stage.turn()
        say(world, "And write it down.")
        rest = [await stage.turn() for _ in range(3)]

        assert [word.text for word in first.heard] == ["Use cents."]
        assert [word.text for record in rest for word in record.heard] == ["And write it down."]
        assert [text.rpartition("\n")[2] for text in texts(stage)] == ["Use cents.", "And write it down."]
        assert stage.work.state.heard == 2

    tell(story, "echo 1", "echo 2", "echo 3", "echo 4", "echo 5")


def test_a_turn_that_heard_and_was_never_stored_hears_the_same_and_is_paid_once(
    tell: Callable[..., None], world: World
) -> None:
    async def story(stage: Stage) -> None:
        say(world, "Use cents.")
        first = stage.record(await stage.work.turn(""))
        await stage.work.forget()
        again = stage.record(await stage.work.turn(""))
        await stage.work.forget()

        assert [word.text for word in again.heard] == ["Use cents."]
        assert again.reply == first.reply, "it was in the journal: no second one is as long on its way"

    tell(story, "echo 1", "echo 2", "echo 3")


def test_who_finishes_while_somebody_speaks_goes_on_and_hears_it_though_no_worker_has_looked(
    tell: Callable[..., None], world: World
) -> None:
    async def story(stage: Stage) -> None:
        await stage.turn()
        assert (await stage.turn()).refused, "the first time something is missing"
        await stage.tools(3)
        world.machines.runs.say("r1", "One thing more.", by=ADA)
        finishing = await stage.turn()
        assert [call.name for call in finishing.reply.calls] == ["finish"]
        assert (finishing.refused, finishing.heard, stage.work.state.ending) == ((), (), None)

        assert [word.text for word in (await stage.turn()).heard] == ["One thing more."]
        await stage.turn()
        assert stage.work.state.ending is not None

    tell(story, "echo 1", DONE, DONE, "echo 2", DONE)


def test_who_judges_hears_nobody(tell: Callable[..., None], world: World) -> None:
    async def story(stage: Stage) -> None:
        stage.work.listens = False
        say(world, "Let it pass.")
        heard = [word for _ in range(3) for word in (await stage.turn()).heard]

        assert (heard, texts(stage)) == ([], [])
        assert world.machines.runs.get("r1").words == 1

    tell(story, "echo 1", "echo 2", "echo 3", "echo 4")


def test_a_turn_to_which_nobody_speaks_asks_no_store() -> None:
    nothing = cast("Any", None)
    assert asyncio.run(unheard(nothing, Control(), run="r1", after=0)) == ()
