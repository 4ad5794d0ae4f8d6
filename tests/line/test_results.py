"""A check that ran on the same tree is shown and not run, once; what the tree does not decide is always run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from nightmill import event
from nightmill.estate.nouns import Access, Service
from nightmill.line.assignment import Assignment
from nightmill.line.results import CheckResults, keep_proof
from nightmill.review import Check, CheckResult
from nightmill.review.nouns import Failure
from nightmill.sandbox import Limits, Place, Workspace
from nightmill.sandbox import Service as Program
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner
from nightmill.tool import Answer, ToolContext
from nightmill.tool.command import RunCommand
from tests import whole
from tests.line.conftest import World

CHECK = "echo ran >> /tmp/ran; cat calc.py; exit 3"
LONG = f"sleep 1; {CHECK}"
FILES = {**whole.FILES, "calc.py": "x = 1\n"}


@dataclass
class Agents:
    """Agents of several runs of one project, each in a sandbox of its own.

    What a check takes is worth keeping from *least* seconds on; to find out the tree takes none, by their clock.
    """

    world: World
    environment: str = "e"
    check: str = CHECK
    least: float = 0.0
    changes: dict[str, Any] = field(default_factory=dict)

    def assignment(self) -> Assignment:
        found = self.world.assignment()
        checks = (Check(name="slow", command=self.check),)
        return replace(found, kind="task", project=replace(found.project, checks=checks, **self.changes))

    def work(self, run: str, story: Callable[[Agent], Awaitable[None]]) -> None:
        folder = self.world.root.parent / f"sandbox-{run}"
        layer = folder / "layer"
        whole.repository(layer / "repo", FILES)
        give(layer, owner())
        known = CheckResults(
            run=run,
            machines=replace(self.world.machines, clock=lambda: 0.0),
            assignment=self.assignment(),
            environment=self.environment,
            least=self.least,
        )

        async def go() -> None:
            place = Place(directory=folder / "run", layers=(layer,))
            place.directory.mkdir()
            workspace = await BubblewrapSandboxes().open(place)
            try:
                await story(Agent(workspace, known))
            finally:
                await workspace.close()

        asyncio.run(go())

    def told(self) -> list[event.ResultReused]:
        asyncio.run(self.world.machines.ledger.flush())
        return [
            told
            for entry in self.world.machines.ledger.read(names=("result_reused",))
            if isinstance(told := entry.event(), event.ResultReused)
        ]


@dataclass
class Agent:
    """One of them."""

    workspace: Workspace
    known: CheckResults

    async def run(self, command: str) -> Answer:
        self.known.turn += 1
        context = ToolContext(workspace=self.workspace, limits=Limits(), results=self.known)
        return await RunCommand().call(RunCommand.Call(command=command), context)

    async def times(self) -> int:
        """How often the check was really run here."""
        return (await self.run("cat /tmp/ran 2>/dev/null; true")).text.count("ran")


async def once(agent: Agent) -> None:
    answer = await agent.run(CHECK)
    assert answer.text == "x = 1\n(exit status 3)"
    assert await agent.times() == 1


def test_another_run_is_shown_the_result_once_and_then_runs_the_check(world: World) -> None:
    agents = Agents(world)

    async def second(agent: Agent) -> None:
        answer = await agent.run(f"  {CHECK.replace(' ', '   ')}\n")
        assert answer.text.startswith("x = 1\n(exit status 3; not run now: this is how it ended, after ")
        assert "on the same files in turn 1 of run r1. Call it once more" in answer.text
        assert answer.ran[0][1] is False
        assert not answer.changed
        assert await agent.times() == 0
        assert (await agent.run(CHECK)).text == "x = 1\n(exit status 3)"
        assert await agent.times() == 1

    agents.work("r1", once)
    agents.work("r2", second)

    assert [(each.run, each.source, each.source_turn) for each in agents.told()] == [("r2", "r1", 1)]


@pytest.mark.parametrize(
    "change",
    [
        "echo 'x = 2' > calc.py",
        "touch new.txt",
        "chmod +x calc.py",
        "git rm -q --cached calc.py && echo calc.py >> .gitignore",
        "mv calc.py other.py && cp other.py calc.py",
        # the same size and, to the second, the same time
        "echo 'x = 9' > calc.py && touch -d \"$(stat -c %y test_calc.py)\" calc.py",
    ],
)
def test_another_tree_is_run(world: World, change: str) -> None:
    agents = Agents(world)

    async def changed(agent: Agent) -> None:
        await agent.run(change)
        assert "not run now" not in (await agent.run(CHECK)).text

    agents.work("r1", once)
    agents.work("r2", changed)


def test_the_way_back_to_a_tree_is_known_and_what_git_ignores_is_no_part_of_it(world: World) -> None:
    agents = Agents(world)

    async def there_and_back(agent: Agent) -> None:
        await agent.run("echo 'x = 2' > calc.py")
        assert "x = 2\n(exit" in (await agent.run(CHECK)).text
        await agent.run("echo 'x = 1' > calc.py; mkdir -p __pycache__; touch __pycache__/x; git add calc.py")
        assert "not run now" in (await agent.run(CHECK)).text
        assert "x = 1" in (await agent.run("git show HEAD:calc.py; git status --short")).text

    agents.work("r1", once)
    agents.work("r2", there_and_back)


@pytest.mark.parametrize(
    "agents",
    [
        {"environment": "another"},
        {"changes": {"services": (Service(program=Program(name="db", run="sleep 1")),)}},
        {"changes": {"network": Access(hosts=("example.org",))}},
    ],
    ids=["environment", "services", "network"],
)
def test_what_the_tree_does_not_decide_is_run(world: World, agents: dict[str, Any]) -> None:
    Agents(world).work("r1", once)
    Agents(world, **agents).work("r2", once)
    Agents(world, **agents).work("r3", once if "changes" in agents else _nothing)


async def _nothing(_agent: Agent) -> None:
    """Nothing more to see."""


@pytest.mark.parametrize(("check", "least"), [("date >> made.txt", 0.0), ("true", 60.0), ("kill -9 $$", 0.0)])
def test_a_check_that_changes_files_or_is_quick_or_is_killed_is_not_kept(
    world: World, check: str, least: float
) -> None:
    agents = Agents(world, check=check, least=least)

    async def run(agent: Agent) -> None:
        assert "not run now" not in (await agent.run(check)).text

    agents.work("r1", run)
    agents.work("r2", run)


def test_neither_other_commands_nor_checks_that_were_stopped_are_kept(world: World) -> None:
    agents = Agents(world, check=LONG)

    async def spoil(agent: Agent) -> None:
        context = ToolContext(workspace=agent.workspace, limits=Limits(seconds=0.4), results=agent.known)
        stopped = await RunCommand().call(RunCommand.Call(command=LONG), context)
        assert "stopped after" in stopped.text
        await agent.run(CHECK)

    async def other(agent: Agent) -> None:
        assert "not run now" not in (await agent.run(CHECK)).text
        assert "not run now" not in (await agent.run(LONG)).text

    agents.work("r1", spoil)
    agents.work("r2", other)


def test_a_proof_that_failed_need_not_be_waited_for_again(world: World) -> None:
    agents = Agents(world)
    assignment = agents.assignment()
    root = whole.repository(world.root.parent / "tree", FILES)
    tree = whole.git(root, "rev-parse", "HEAD^{tree}")
    blob = world.machines.blobs.put(b"proof says no\n")
    result = CheckResult(check="slow", tree=tree, exit=1, passed=False, output=blob, seconds=5.0)
    unsteady = replace(result, failures=(Failure(id="t", message="m", kind="flaky"),))
    for each in (unsteady, replace(result, stopped="timeout"), replace(result, seconds=0.2)):
        keep_proof(world.machines, assignment, each, run="r1", environment="e")
    agents.work("r0", once)
    keep_proof(world.machines, assignment, result, run="r1", environment="e")

    async def told(agent: Agent) -> None:
        answer = await agent.run(CHECK)
        assert answer.text.startswith("proof says no\n(exit status 1; not run now: ")
        assert "in the system's own proof in run r1" in answer.text
        assert await agent.times() == 0

    agents.work("r1b", told)


def test_a_git_that_the_agent_broke_only_means_that_the_check_is_run(world: World) -> None:
    agents = Agents(world)

    async def broken(agent: Agent) -> None:
        await agent.run("rm -rf .git")
        assert (await agent.run(CHECK)).text == "x = 1\n(exit status 3)"

    agents.work("r1", once)
    agents.work("r2", broken)
