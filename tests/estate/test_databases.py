"""Databases at work while they are snapshotted: each copy recovers, exact to the row, and none knows of another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from nightmill.estate import Base, Project, Site, base, place, prepare
from nightmill.estate.file import parse
from nightmill.estate.services import programs
from nightmill.repo import Hub
from nightmill.sandbox import Command, Limits, Sandboxes, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from tests.beside import require

Write = Callable[[dict[str, str]], str]

SNAPSHOTS = 20

POSTGRES = """
services:
  - use: postgres
    seed: [pgbench -i -q -s 1, psql -qc 'CREATE TABLE mark (n int)' -c 'INSERT INTO mark VALUES (0)']
"""
REDIS = "services: [{use: redis}]"

SUMS = """
SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches),
       (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT coalesce(sum(delta), 0) FROM pgbench_history),
       (SELECT max(n) FROM mark)
"""


class Ground(NamedTuple):
    """A project with its base, and where its sandboxes go."""

    project: Project
    base: Base
    commit: str
    sandboxes: Sandboxes
    folder: Path

    async def fresh(self, name: str) -> Workspace:
        """A sandbox as the base left it, with its services."""
        (self.folder / name).mkdir()
        workspace = await self.sandboxes.open(place(self.project, self.base, directory=self.folder / name))
        await prepare(workspace, bundle="", commit=self.commit, services=self.project.services)
        return workspace

    async def forked(self, source: str, snapshot: str, name: str) -> Workspace:
        """A fork of *source* at *snapshot*, with its services."""
        forked = await self.sandboxes.fork(source=self.folder / source, snapshot=snapshot, directory=self.folder / name)
        found = place(self.project, self.base, directory=self.folder / name)
        return await self.sandboxes.open(replace(found, snapshot=forked, services=programs(self.project.services)))


Story = Callable[[Ground], Awaitable[None]]
Tell = Callable[[str, Story], None]


@pytest.fixture
def tell(root: Path, commit: Write, hub: Hub, site: Site, tmp_path: Path) -> Tell:
    """Tell a story on the ground of a project with these services."""

    def go(text: str, story: Story) -> None:
        made = commit({"a": "1"})
        hub.take(root, "HEAD")
        project = parse(text.encode(), root=root)
        folder = tmp_path / "runs"
        folder.mkdir()

        async def whole() -> None:
            found = await base(project, hub=hub, commit=made, site=site, progress=lambda _: None)
            sandboxes = BubblewrapSandboxes(shelf=tmp_path / "shelf")
            await story(Ground(project, found, made, sandboxes, folder))

        asyncio.run(whole())

    return go


async def sh(workspace: Workspace, script: str) -> str:
    done = await workspace.run(Command(argv=("bash", "-c", script), limits=Limits(seconds=120.0)))
    assert not done.exit, done.text
    return done.text.strip()


async def sql(workspace: Workspace, text: str) -> str:
    return await sh(workspace, f'psql -XAtqc "{text}"')


@pytest.mark.slow
def test_every_snapshot_of_a_database_at_full_load_recovers_with_just_what_was_committed(tell: Tell) -> None:
    require("postgres", beside="pgbench")

    async def story(ground: Ground) -> None:
        live = await ground.fresh("live")
        load = asyncio.ensure_future(
            live.run(Command(argv=("pgbench", "-n", "-c", "4", "-T", "600"), limits=Limits(seconds=600.0)))
        )
        while int(await sql(live, "SELECT count(*) FROM pgbench_history")) < 100:
            assert not load.done()
        taken = []
        for number in range(1, SNAPSHOTS + 1):
            await sql(live, f"INSERT INTO mark VALUES ({number})")
            taken.append(await live.snapshot())
        assert not load.done(), load.result().text
        load.cancel()
        await asyncio.wait({load})
        await live.close()

        counts = []
        for number, snapshot in enumerate(taken, start=1):
            copy = await ground.forked("live", snapshot, f"copy{number}")
            assert [state.state for state in copy.services.states()] == ["ready"]
            accounts, branches, tellers, history, mark = (await sql(copy, SUMS)).split("|")
            assert accounts == branches == tellers == history
            assert int(mark) == number, "the row before the snapshot is there, the next is not"
            counts.append(int(await sql(copy, "SELECT count(*) FROM pgbench_history")))
            await copy.close()
            await ground.sandboxes.destroy(ground.folder / f"copy{number}")
        assert counts == sorted(counts)
        assert counts[-1] > counts[0], "it was at work all the while"

    tell(POSTGRES, story)


def test_a_fork_has_its_own_database_on_the_same_port_and_a_rollback_rolls_it_back(tell: Tell) -> None:
    require("postgres", beside="pgbench")

    async def story(ground: Ground) -> None:
        one = await ground.fresh("one")
        await sql(one, "INSERT INTO mark VALUES (1)")
        snapshot = await one.snapshot()
        await sql(one, "INSERT INTO mark VALUES (2)")
        two = await ground.forked("one", snapshot, "two")
        await sql(two, "INSERT INTO mark VALUES (3)")

        assert await sql(one, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM mark") == "0 1 2"
        assert await sql(two, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM mark") == "0 1 3"
        await one.roll_back(snapshot)
        assert [state.state for state in one.services.states()] == ["ready"]
        assert await sql(one, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM mark") == "0 1"
        await one.close()
        await two.close()

    tell(POSTGRES, story)


def test_a_database_that_was_killed_starts_again_in_the_same_sandbox(tell: Tell) -> None:
    require("postgres", beside="pgbench")

    async def story(ground: Ground) -> None:
        live = await ground.fresh("live")
        await sql(live, "INSERT INTO mark VALUES (1)")
        await sh(live, "pkill -9 -x postgres")
        while live.services.states()[0].state != "ended":
            await sh(live, "true")
        await live.services.start(*programs(ground.project.services))
        assert [state.state for state in live.services.states()] == ["ready"]
        assert await sql(live, "SELECT max(n) FROM mark") == "1"
        await live.close()

    tell(POSTGRES, story)


@pytest.mark.slow
def test_every_snapshot_of_a_busy_redis_holds_what_was_answered_before_it(tell: Tell) -> None:
    require("redis", beside="redis-benchmark")

    async def story(ground: Ground) -> None:
        live = await ground.fresh("live")
        load = asyncio.ensure_future(
            live.run(
                Command(
                    argv=("redis-benchmark", "-q", "-t", "incr", "-c", "4", "-n", "100000000"),
                    limits=Limits(seconds=600.0),
                )
            )
        )
        taken = []
        for number in range(1, SNAPSHOTS + 1):
            await sh(live, f"redis-cli set mark {number}")
            taken.append(await live.snapshot())
        assert not load.done(), load.result().text
        load.cancel()
        await asyncio.wait({load})
        await live.close()
        for number, snapshot in enumerate(taken, start=1):
            copy = await ground.forked("live", snapshot, f"copy{number}")
            assert await sh(copy, "redis-cli get mark") == str(number)
            await copy.close()

    tell(REDIS, story)
