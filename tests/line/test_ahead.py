"""A worker with nothing to do builds the bases that runs will need: each once, and failures are told once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from nightmill import event
from nightmill.durable import Engine
from nightmill.estate import base, load
from nightmill.line.ahead import EVERY, Ahead
from nightmill.line.machines import Machines
from nightmill.line.worker import CALM, Worker
from nightmill.store import projects
from tests import whole
from tests.line.conftest import World

SETTINGS = "language: other\nlocks: [lock]\ninstall: ['mkdir -p /work/env', 'nice > /work/env/nice']\n"
BROKEN = "language: other\ninstall: ['echo no such thing >&2; exit 3']\n"


class Clock:
    """Time that a test turns on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(world: World, clock: Clock) -> Machines:
    """Machines that know one project, whose branch is in the hub."""
    settle(world, {"lock": "1", "nightmill.yaml": SETTINGS})
    known = projects.Known(id=world.project.id, root=world.root, hub=world.hub.path, added=0)
    projects.keep(world.machines.database, known)
    return replace(world.machines, clock=clock)


def settle(world: World, files: dict[str, str]) -> None:
    """Commit *files*, and let the hub's branch follow."""
    for name, text in files.items():
        (world.root / name).write_text(text)
    whole.commit(world.root, "x")
    world.hub.create()
    world.hub.advance("main", world.hub.take(world.root, "main"))


def bases(world: World) -> list[str]:
    folder = world.machines.settings.home / "projects" / world.project.id / "bases"
    return sorted(path.name for path in folder.glob("*") if path.is_dir()) if folder.exists() else []


def told(world: World) -> list[event.Event]:
    asyncio.run(world.machines.ledger.flush())
    return [entry.event() for entry in world.machines.ledger.read(run="")]


def look(ahead: Ahead, clock: Clock) -> bool:
    """One look and the end of what it began; whether it began anything."""
    clock.now += EVERY

    async def story() -> bool:
        ahead.look()
        began = ahead.busy
        while ahead.busy:  # noqa: ASYNC110 - nobody rings when a build ends
            await asyncio.sleep(0.01)
        return began

    return asyncio.run(story())


def test_the_base_is_built_when_the_lock_file_moved_and_not_before(world: World, made: Machines, clock: Clock) -> None:
    ahead = Ahead(made)
    assert look(ahead, clock)
    first = bases(world)
    assert not look(ahead, clock), "nothing moved"

    settle(world, {"lock": "2"})
    assert look(ahead, clock)
    assert len(bases(world)) == 2
    settle(world, {"other.txt": "x"})
    look(ahead, clock)
    assert len(bases(world)) == 2, "the lock file is as it was"

    (world.root / "nightmill.yaml").write_text(SETTINGS + "env: {A: b}\n")
    look(ahead, clock)
    assert len(bases(world)) == 3
    built = told(world)
    assert [type(each) for each in built] == [event.EnvironmentBuilt] * 3
    assert cast("event.EnvironmentBuilt", built[0]).environment == first[0]
    layer = world.machines.settings.home / "projects" / world.project.id / "bases" / first[0] / "layer"
    assert (layer / "env" / "nice").read_text().strip() == str(min(19, os.nice(0) + 15))


def test_a_commit_that_only_the_checkout_has_is_built_for_and_moves_no_branch(
    world: World, made: Machines, clock: Clock
) -> None:
    ahead = Ahead(made)
    look(ahead, clock)
    tip = world.hub.commit_of("main")
    (world.root / "lock").write_text("mine")
    whole.commit(world.root, "only here")

    assert look(ahead, clock)
    assert len(bases(world)) == 2
    assert world.hub.commit_of("main") == tip
    whole.git(world.root, "reset", "-q", "--hard", "HEAD~1")
    look(ahead, clock)
    assert len(bases(world)) == 2, "the hub's branch is as it was"


def test_the_checkout_of_another_user_is_not_read(world: World, made: Machines, clock: Clock) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    ahead = Ahead(made)
    look(ahead, clock)
    (world.root / "lock").write_text("mine")
    whole.commit(world.root, "only here")
    os.chown(world.root / ".git", 65534, 65534)
    look(ahead, clock)
    assert len(bases(world)) == 1


def test_a_failure_is_told_once_and_not_repeated_until_something_moves(
    world: World, made: Machines, clock: Clock
) -> None:
    settle(world, {"nightmill.yaml": BROKEN})
    ahead = Ahead(made)
    assert look(ahead, clock)
    assert not look(ahead, clock)
    look(Ahead(made), clock)
    failures = told(world)
    assert len(failures) == 1
    assert isinstance(failures[0], event.EnvironmentFailed)
    assert "no such thing" in failures[0].reason
    assert failures[0].hint == "change line 1 of `install` in nightmill.yaml"

    settle(world, {"nightmill.yaml": SETTINGS})
    look(ahead, clock)
    assert len(bases(world)) == 1


def test_a_faulty_file_is_told_and_a_project_that_is_gone_is_left_alone(
    world: World, made: Machines, clock: Clock
) -> None:
    (world.root / "nightmill.yaml").write_text("languag: x\n")
    gone = projects.Known(id="gone-1", root=world.root / "gone", hub=world.root / "gone.git", added=1)
    projects.keep(made.database, gone)
    ahead = Ahead(made)
    while look(ahead, clock):
        pass
    failures = told(world)
    assert [cast("event.EnvironmentFailed", each).project for each in failures] == [world.project.id]
    assert "unknown key 'languag'" in cast("event.EnvironmentFailed", failures[0]).reason


def test_looks_are_rare_and_a_run_waits_for_the_same_build(world: World, made: Machines, clock: Clock) -> None:
    slow = SETTINGS.replace("'mkdir -p /work/env'", "'mkdir -p /work/env; sleep 1'")
    settle(world, {"nightmill.yaml": slow})
    project = world.project

    async def story() -> tuple[list[str], str]:
        ahead, said = Ahead(made), list[str]()
        ahead.look()
        assert ahead.busy
        while not list((made.settings.home / "projects" / project.id).glob("bases/*.lock")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        wanted = load(world.root)
        commit = world.hub.commit_of("main")
        found = await base(wanted, hub=world.hub, commit=commit, site=made.site, progress=said.append)
        while ahead.busy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        ahead.look()
        assert not ahead.busy, "too early to look again"
        return said, found.hash

    said, name = asyncio.run(story())
    assert not [line for line in said if line.startswith("install")], "it was built once"
    assert bases(world) == [name]


def test_a_worker_that_ends_leaves_nothing_of_a_build(world: World, made: Machines, clock: Clock) -> None:
    settle(world, {"nightmill.yaml": "language: other\ninstall: ['sleep 600']\n"})

    async def story() -> None:
        ahead = Ahead(made)
        ahead.look()
        folder = made.settings.home / "projects" / world.project.id / "bases"
        while not list(folder.glob(".*/run/upper")):  # noqa: ASYNC110 - until the sandbox stands
            await asyncio.sleep(0.01)
        await ahead.leave()
        assert not [path for path in folder.glob(".*") if path.is_dir()]

    asyncio.run(story())
    assert told(world) == []


class Idle:
    """An engine without any run."""

    interrupted: frozenset[str] = frozenset()

    async def stranded(self) -> list[Any]:
        return []

    async def start(self, *_: Any) -> None:
        """Nothing is started."""


def test_a_worker_that_builds_is_not_idle_and_ends_when_it_is(world: World, made: Machines) -> None:
    steps = iter(range(10_000))
    ticking: Callable[[], float] = lambda: next(steps) * CALM  # noqa: E731 - each look is a moment later
    worker = Worker(replace(made, clock=ticking))
    asyncio.run(worker.serve(cast("Engine", Idle()), until_idle=30))

    assert len(bases(world)) == 1
    assert [each.name for each in told(world)] == ["environment_built"]
