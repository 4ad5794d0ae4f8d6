"""What a run makes of services: started for each sandbox, told when they fail, started again, part of the proof."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill import event
from nightmill.estate import Service, environment
from nightmill.line import brief as briefs
from nightmill.line.prove import Proving
from nightmill.line.workplace import AGAIN, Workplace
from nightmill.plan import single
from nightmill.sandbox import Command, Limits, Workspace
from nightmill.sandbox import Service as Program
from nightmill.tool import ToolContext
from nightmill.tool.command import RunCommand
from tests import whole
from tests.line.conftest import Tell, World, teller

APP = Program(name="app", run="bash app.sh; exec sleep 4567", ready="pgrep -f '^sleep 4567'", patience=60.0)
ALIVE = "pgrep -c -f '^sleep 4567'"


@pytest.fixture
def tell(tmp_path: Path, told: list[event.Event]) -> Tell:
    """Tell a story in a workplace whose service is `APP`."""
    return teller(tmp_path, told, file=("app.sh", "echo up\n"), services=(APP,))


async def sh(workspace: Workspace, text: str) -> str:
    return (await workspace.run(Command(argv=("bash", "-c", text)))).text.strip()


async def ended(workspace: Workspace) -> None:
    while workspace.services.states()[0].state != "ended":
        await sh(workspace, "true")


def test_a_service_waits_for_the_checkout_and_comes_back_with_each_snapshot(
    tell: Tell, told: list[event.Event]
) -> None:
    async def story(place: Workplace) -> None:
        workspace = await place.stand_at("")
        assert workspace.services.states() == ()
        place.touched()
        await workspace.services.start(APP)
        one = await place.keep()
        assert place.news() == "", "an agent is told by its brief what runs"
        await place.leave()

        workspace = await place.stand_at(one)
        assert await sh(workspace, ALIVE) == "1"
        assert place.news() == f"({AGAIN})"
        assert place.news() == "", "once"

    tell(story)

    started = [each for each in told if isinstance(each, event.ServiceStarted)]
    assert [(each.service, each.ready) for each in started] == [("app", True)] * 2


def test_what_ended_is_told_and_started_again_before_the_next_turn(tell: Tell, told: list[event.Event]) -> None:
    async def story(place: Workplace) -> None:
        workspace = await place.stand_at("")
        await workspace.services.start(APP)
        one = await place.keep()
        context = ToolContext(workspace=workspace, limits=Limits(), news=place.news)
        await sh(workspace, "pkill -f '^sleep 4567'")
        await ended(workspace)

        answer = await RunCommand().call(RunCommand.Call(command="echo hello"), context)
        end = "(the service app has ended: ended by signal 15; its output: /tmp/services/app.log)"
        assert answer.text == f"hello\n(exit status 0)\n{end}"

        assert await place.stand_at(one) is workspace
        assert await sh(workspace, ALIVE) == "1"
        assert place.news() == "(the service app was started again)"

    tell(story)

    assert [each.name for each in told] == ["service_started", "service_ended", "service_started"]


def test_a_service_that_a_change_broke_is_told_and_keeps_no_turn_back(tell: Tell, told: list[event.Event]) -> None:
    async def story(place: Workplace) -> None:
        workspace = await place.stand_at("")
        place.touched()
        await workspace.services.start(APP)
        await sh(workspace, "echo 'echo it is broken; kill -9 $PPID' > app.sh")
        one = await place.keep()
        await place.leave()

        workspace = await place.stand_at(one)
        assert "(the service app has ended: ended by signal 9" in place.news()
        assert await sh(workspace, "cat /tmp/services/app.log") == "it is broken"
        assert await place.stand_at(one) is workspace
        assert place.news() == "", "it ended in the same way again: nothing is new"

    tell(story)

    assert sum(isinstance(each, event.ServiceEnded) for each in told) == 1


def test_an_agent_is_told_which_services_run(world: World) -> None:
    services = (Service(program=APP), Service(program=replace(APP, name="db"), variables={"DATABASE_URL": "x"}))
    found = world.assignment()
    project = replace(world.project, services=services)
    made = briefs.developer(
        replace(found, kind="task", project=project, task=single(found.spec).tasks[0]), run="r1", hub=world.hub
    )

    assert (
        "started for you: app; db (in the environment: DATABASE_URL). What one writes is in /tmp/services/NAME.log."
        in made.anchor
    )


def test_a_proof_in_which_a_service_does_not_come_up_does_not_pass(world: World) -> None:
    (world.root / "app.sh").write_text("echo up\n")
    whole.commit(world.root, "a service")
    project = replace(world.project, services=(Service(program=APP),))
    assignment = world.assignment(project=project)
    machines = world.machines

    def change(name: str, text: str) -> str:
        (world.root / name).write_text(text)
        whole.commit(world.root, name)
        return world.hub.advance("main", world.hub.take(world.root, "main"))

    async def prove(commit: str, number: int) -> tuple[bool, str]:
        base = await environment.base(
            project, hub=world.hub, commit=assignment.base_commit, site=machines.site, progress=lambda _: None
        )
        proving = Proving(run="r1", machines=machines, assignment=assignment, base=base, site=machines.site)
        verdict = await proving.verdict(commit, number=number, criteria=(), claims=())
        return verdict.passed, "\n".join(verdict.reasons)

    assert asyncio.run(prove(change("notes.txt", "fine"), 0)) == (True, "")
    passed, why = asyncio.run(prove(change("app.sh", "echo it is broken; kill -9 $PPID"), 1))
    assert not passed
    assert why == "the service 'app' has ended: ended by signal 9\nit is broken"
