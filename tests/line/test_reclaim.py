"""Making room: what may go goes, in order; what nobody else holds stays, and the reason is said."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill import event
from nightmill.line.reclaim import Reclaim, Thing, size
from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.owner import give, owner
from tests.line.conftest import World

OVER = event.RunStopped(run="", why="cancelled", reason="r")


@pytest.fixture
def home(world: World) -> Path:
    layer = world.door.settings.home / "projects" / "p" / "bases" / "old" / "layer"
    (layer / "repo").mkdir(parents=True)
    (layer / "repo" / "a").write_text("one\n")
    give(layer, owner())
    (layer.parent / "record.json").write_text("{}")
    os.utime(layer.parent / "record.json", (1, 1))
    new = layer.parents[1] / "new"
    new.mkdir()
    (new / "record.json").write_text("{}")
    return world.door.settings.home


class Keeper:
    """Makes runs that have come to some end, and looks what is made of them."""

    def __init__(self, world: World, home: Path) -> None:
        self.world, self.home = world, home
        self.sandboxes = BubblewrapSandboxes(shelf=home / "layers")
        world.assignment()

    def work(self, name: str, *, files: int = 40) -> str:
        """A run that prepared and took a turn which changed files; its snapshot."""
        machines = self.world.machines
        queued = event.RunQueued(run=name, kind="task", title="t", project="p", spec="s", model="m")
        machines.runs.create(queued, assignment="a")
        place = self.place(name)
        place.directory.mkdir(parents=True)
        first, second = asyncio.run(self._turn(place, files))
        machines.ledger.emit(
            event.WorkspacePrepared(run=name, environment="old", commit="c", snapshot=first, seconds=1.0)
        )
        machines.ledger.emit(
            event.TurnFinished(
                run=name,
                turn=1,
                role="developer",
                model="m",
                record="r",
                snapshot=second,
                usage={},
                cost=None,
                calls=1,
                seconds=1.0,
            )
        )
        return second

    def place(self, name: str) -> Place:
        layer = self.home / "projects" / "p" / "bases" / "old" / "layer"
        return Place(directory=self.home / "runs" / name / "sandbox", layers=(layer,))

    async def _turn(self, place: Place, files: int) -> tuple[str, str]:
        sandbox = await self.sandboxes.open(place)
        first = await sandbox.snapshot()
        await sandbox.run(Command(argv=("bash", "-c", f"for i in $(seq {files}); do echo $i > $i; done")))
        second = await sandbox.snapshot()
        await sandbox.close()
        return first, second

    def tell(self, *told: event.Event) -> None:
        for each in told:
            self.world.machines.ledger.emit(each)
        asyncio.run(self.world.machines.ledger.flush())

    def branch(self, name: str) -> str:
        """The commit of a new branch in the hub."""
        hub = self.world.hub
        commit = hub.commit_of("main")
        hub.branch(name, commit, expected_old="")
        return commit

    def read(self, directory: Path, snapshot: str) -> str:
        async def look() -> str:
            sandbox = await self.sandboxes.open(replace(self.place("any"), directory=directory, snapshot=snapshot))
            try:
                return (await sandbox.run(Command(argv=("bash", "-c", "cat a 40")))).text
            finally:
                await sandbox.close()

        return asyncio.run(look())

    def go(self, *, quota: int = 1, pretend: bool = False) -> dict[str, Thing]:
        things = self.reclaim(pretend=pretend).go(quota=quota)
        return {str(each.path.relative_to(self.home)): each for each in things}

    def reclaim(self, *, pretend: bool = False) -> Reclaim:
        machines = self.world.machines
        return Reclaim(
            home=self.home, runs=machines.runs, ledger=machines.ledger, hub=lambda _: self.world.hub, pretend=pretend
        )


@pytest.fixture
def keeper(world: World, home: Path) -> Keeper:
    return Keeper(world, home)


def test_snapshots_go_only_when_the_hub_has_the_work(keeper: Keeper, home: Path) -> None:
    for name in ("landed", "kept", "lost", "gone", "later"):
        keeper.work(name)
    running = keeper.work("running")
    commit = keeper.branch("nightmill/x")
    made = event.CommitMade(run="landed", commit=commit, tree="t", branch="nightmill/x", author="a")
    preserved = event.WorkPreserved(run="kept", branch="nightmill/wip/kept", commit=keeper.branch("nightmill/wip/kept"))
    absent = event.WorkPreserved(run="gone", branch="nightmill/wip/gone", commit="0" * 40)
    before = replace(preserved, run="later")
    turn = event.TurnFinished(
        run="later",
        turn=2,
        role="developer",
        model="m",
        record="r",
        snapshot="after-it",
        usage={},
        cost=None,
        calls=1,
        seconds=1.0,
    )
    keeper.tell(made, preserved, absent, before, turn, event.RunDone(run="landed", change=1))
    keeper.tell(*(replace(OVER, run=name) for name in ("kept", "lost", "gone", "later")))

    would = keeper.go(pretend=True)
    assert all((home / "runs" / name / "sandbox" / "packs").is_dir() for name in ("landed", "kept"))
    found = keeper.go()

    assert {name for name, thing in found.items() if thing.gone} <= {
        name for name, thing in would.items() if thing.gone
    }
    assert found["runs/landed/sandbox"].why == "its work is on refs/heads/main"
    assert found["runs/kept/sandbox"].gone
    assert sorted(path.name for path in (home / "runs").iterdir() if (path / "sandbox").is_dir()) == [
        "gone",
        "later",
        "lost",
        "running",
    ]
    for name in ("gone", "later", "lost"):
        assert found[f"runs/{name}/sandbox"].why == "nothing proves that its work is anywhere else"
        assert (home / "runs" / name / "sandbox" / "packs").is_dir()
    assert found["runs/running/sandbox"].why == "the run is queued"
    assert keeper.read(home / "runs" / "running" / "sandbox", running) == "one\n40\n"


def test_what_a_run_goes_on_from_stays_until_that_has_ended(keeper: Keeper, home: Path) -> None:
    keeper.work("before")
    (home / "runs" / "before" / "outputs").mkdir()
    made = event.WorkPreserved(run="before", branch="nightmill/x", commit=keeper.branch("nightmill/x"))
    keeper.tell(made, replace(OVER, run="before"))
    queued = event.RunQueued(run="after", kind="task", title="t", project="p", spec="s", model="m", origin="before@1")
    pretended = keeper.go(pretend=True)["runs/before/sandbox"]
    keeper.world.machines.runs.create(queued, assignment="a")

    kept = keeper.go()["runs/before/sandbox"]
    asked_meanwhile = keeper.reclaim()._done(pretended)
    assert (pretended.gone, kept.gone, asked_meanwhile.gone) == (True, False, False)
    assert kept.why == asked_meanwhile.why == "after goes on from a turn of it"
    assert (home / "runs" / "before" / "sandbox" / "packs").is_dir()
    assert (home / "runs" / "before" / "outputs").is_dir()

    keeper.tell(replace(OVER, run="after"))
    assert keeper.go()["runs/before/sandbox"].gone
    assert not (home / "runs" / "before" / "outputs").exists()


def test_without_a_quota_only_what_nobody_can_want_goes(keeper: Keeper, home: Path) -> None:
    keeper.work("ended")
    keeper.tell(replace(OVER, run="ended"))
    sandbox = home / "runs" / "ended" / "sandbox"
    (sandbox / "packs" / "half.tmp").write_text("x")
    (sandbox / "gone-1").mkdir()
    (home / "layers" / ".new-a-1" / "layer").mkdir(parents=True)
    (home / "layers" / ".gone-a-1").mkdir()
    (home / "projects" / "p" / "bases" / ".k-1").mkdir()

    found = keeper.go(quota=0)

    assert {name for name, thing in found.items() if thing.gone} == {
        "runs/ended/sandbox/packs/half.tmp",
        "runs/ended/sandbox/gone-1",
        "runs/ended/sandbox/upper",
        "layers/.new-a-1",
        "layers/.gone-a-1",
        "projects/p/bases/.k-1",
    }
    assert not (sandbox / "upper").exists()
    assert len(list((sandbox / "packs").iterdir())) == 2


def test_a_layer_stays_while_a_fork_stands_on_it(keeper: Keeper, home: Path) -> None:
    snapshot = keeper.work("source")
    fork = home / "forks" / "source-1"
    made = asyncio.run(
        keeper.sandboxes.fork(source=home / "runs" / "source" / "sandbox", snapshot=snapshot, directory=fork)
    )
    keeper.tell(replace(OVER, run="source"), event.WorkPreserved(run="source", branch="b", commit=keeper.branch("b")))
    (layer,) = Shelf(home / "layers").layers()

    found = keeper.go()

    assert found["runs/source/sandbox"].gone
    assert not found[f"layers/{layer}"].gone
    assert not found["projects/p/bases/old"].gone, "the fork stands on it"
    assert keeper.read(fork, made) == "one\n40\n"
    shutil.rmtree(fork)
    keeper.tell(replace(OVER, run="r1"))
    again = keeper.go()
    assert again[f"layers/{layer}"].gone
    assert Shelf(home / "layers").layers() == []
    assert again["projects/p/bases/old"].gone
    assert again["projects/p/bases/new"].why == "it is the newest of its project"
    assert (home / "projects" / "p" / "bases" / "new").is_dir()


def test_what_is_in_use_is_left_alone(keeper: Keeper, home: Path) -> None:
    snapshot = keeper.work("ended")
    keeper.tell(replace(OVER, run="ended"), event.WorkPreserved(run="ended", branch="b", commit=keeper.branch("b")))

    async def story() -> dict[str, Thing]:
        sandbox = await keeper.sandboxes.open(replace(keeper.place("ended"), snapshot=snapshot))
        found = await asyncio.to_thread(keeper.go)
        assert (await sandbox.run(Command(argv=("cat", "40")))).text == "40\n"
        await sandbox.close()
        return found

    found = asyncio.run(story())
    assert not found["runs/ended/sandbox"].gone
    assert "in use" in found["runs/ended/sandbox"].why
    assert keeper.go()["runs/ended/sandbox"].gone


def test_it_stops_when_there_is_room(keeper: Keeper, home: Path) -> None:
    for number, name in enumerate(("first", "second")):
        keeper.work(name)
        os.utime(home / "runs" / name / "sandbox", (number, number))
    commit = keeper.branch("b")
    for name in ("first", "second"):
        keeper.tell(event.WorkPreserved(run=name, branch="b", commit=commit), replace(OVER, run=name))
    keeper.go(quota=0)
    for number, name in enumerate(("first", "second")):
        os.utime(home / "runs" / name / "sandbox", (number, number))

    keeper.go(quota=size(home) - 4096)

    assert not (home / "runs" / "first" / "sandbox").exists(), "the oldest goes first"
    assert (home / "runs" / "second" / "sandbox").is_dir()


VICTIM = """
import sys, time
from pathlib import Path
from nightmill.cli.door import Door
from nightmill.line.reclaim import Reclaim
from nightmill.repo import Hub
from nightmill.settings import Settings
home, hub = Path(sys.argv[1]), Hub(Path(sys.argv[2]))
door = Door(Settings(home=home))
reclaim = Reclaim(home=home, runs=door.runs, ledger=door.ledger, hub=lambda _: hub)
door.runs.list()
print("begin", flush=True)
reclaim.go(quota=1)
"""


def until(moment: float, over: Callable[[], bool]) -> None:
    while time.monotonic() < moment and not over():
        os.sched_yield()


def test_killed_at_any_moment_it_has_deleted_nothing_that_is_held(keeper: Keeper, home: Path) -> None:
    pick = random.Random("reclaim")
    held = keeper.work("held", files=300)
    fork = home / "forks" / "held-1"
    source = home / "runs" / "held" / "sandbox"
    forked = asyncio.run(keeper.sandboxes.fork(source=source, snapshot=held, directory=fork))
    commit = keeper.branch("b")
    for number in range(6):
        name = f"ended{number}"
        keeper.work(name, files=300)
        keeper.tell(event.WorkPreserved(run=name, branch="b", commit=commit), replace(OVER, run=name))
        command = [sys.executable, "-c", VICTIM, str(home), str(keeper.world.hub.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "begin\n"
            until(time.monotonic() + pick.uniform(0, 0.2), lambda: victim.poll() is not None)
            victim.send_signal(signal.SIGKILL)
        assert keeper.read(source, held) == "one\n40\n"
        assert keeper.read(fork, forked) == "one\n40\n"
    keeper.go()
    assert [path.parent.name for path in (home / "runs").glob("*/sandbox")] == ["held"]
    assert keeper.read(source, held) == "one\n40\n"
