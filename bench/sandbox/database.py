"""A database for every fork: how soon it answers, what it takes of the disk, and whether it is really its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.figures import Figure, spread
from bench.sandbox.ground import Ground, Timer, sh
from nightmill.sandbox import Place, Service, Workspace

__all__ = ["figures"]

ROWS = 100_000

DATA = (
    f"create table item as select n, md5(n::text) as text from generate_series(1, {ROWS}) n",
    "create table note (n int)",
    "vacuum (freeze, analyze)",
    "checkpoint",
)
"""As a base is made: what only reading would change is changed already."""

NEWEST, ALL = "select min(n) from note", "select count(*) from item"

SETTINGS = (
    "fsync=off",
    "full_page_writes=on",
    "max_wal_size=32MB",
    "min_wal_size=2MB",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=/tmp",
)
"""Of a database for tests; a power cut ends its sandbox too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Seconds until the database of a fork answered, bytes on the disk then and after it has read the big table."""

    ready: float
    disk: int
    after: int


def figures(ground: Ground) -> Iterator[Figure]:
    """Forks of one live snapshot, the first of which has to write it down."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        raise OSError("PostgreSQL is not installed")
    snapshots, forks = asyncio.run(_forks(ground, str(programs[-1])))
    first, others = forks[0], forks[1:]
    told = "live; before each one INSERT"
    yield Figure(
        name=f"live snapshot beside PostgreSQL with {ROWS:,} rows",
        unit=" ms",
        values=spread(snapshots, scale=1000),
        detail=told,
    )
    told = f"fork, start, recovery and the first answer; the first fork of the snapshot {first.ready:.2g} s"
    values = spread([each.ready for each in others])
    yield Figure(name="PostgreSQL in a fork, until it answers", unit=" s", values=values, goal=1.0, detail=told)
    grown = spread([each.after / 1e6 for each in others]).median
    values, told = spread([each.disk / 1e6 for each in others]), f"once all rows were read {grown:.3g} MB"
    yield Figure(name="disk that PostgreSQL in a fork takes", unit=" MB", values=values, goal=5.0, detail=told)


async def _forks(ground: Ground, programs: str) -> tuple[list[float], list[Fork]]:
    place = replace(ground.place("database"), layers=(await asyncio.to_thread(_small, ground),))
    source = await ground.sandboxes.open(place)
    try:
        service = await _database(source, programs)
        await source.services.start(service)
        assert source.services.states()[0].state == "ready", await source.services.log(service.name)
        for text in DATA:
            await sql(source, programs, text)
        seconds = []
        for number in range(ground.rounds(10)):
            await sql(source, programs, f"insert into note values (-{number + 1})")
            with Timer() as timer:
                newest = await source.snapshot()
            seconds.append(timer.seconds)
        await sql(source, programs, "insert into note values (-9999)")
        fork = replace(place, snapshot=newest, services=(service,))
        forks = [
            await _fork(ground, fork, programs, number, str(-len(seconds))) for number in range(ground.rounds(10) + 1)
        ]
    finally:
        await source.close()
        await ground.sandboxes.destroy(place.directory)
    return seconds, forks


async def _fork(ground: Ground, place: Place, programs: str, number: int, expected: str) -> Fork:
    """A fork of the place's snapshot, whose database has to hold what is expected, and to be its own."""
    directory = ground.home / "runs" / f"fork{number}"
    with Timer() as timer:
        start = await ground.sandboxes.fork(source=place.directory, snapshot=place.snapshot, directory=directory)
        fork = await ground.sandboxes.open(replace(place, directory=directory, snapshot=start))
        found = await sql(fork, programs, NEWEST)
    assert found == expected, f"{found} instead of {expected}"
    disk = await asyncio.to_thread(used, directory)
    await sql(fork, programs, f"insert into note values ({-1000 - number})")
    assert await sql(fork, programs, NEWEST) == str(-1000 - number)
    assert await sql(fork, programs, ALL) == str(ROWS)
    after = await asyncio.to_thread(used, directory)
    await fork.close()
    if number:  # the first holds the layer on which the others stand
        await ground.sandboxes.destroy(directory)
    return Fork(ready=timer.seconds, disk=disk, after=after)


def _small(ground: Ground) -> Path:
    """A base with nothing in it."""
    layer = ground.home / "nothing"
    (layer / "repo").mkdir(parents=True)
    return layer


async def _database(sandbox: Workspace, programs: str) -> Service:
    await sh(sandbox, f"{programs}/initdb -D /work/db -A trust -U agent --no-sync --wal-segsize=1 > /tmp/initdb")
    settings = " ".join(f"-c {each}" for each in SETTINGS)
    run = f"rm -f /work/db/postmaster.pid; exec {programs}/postgres -D /work/db {settings}"
    return Service(name="database", run=run, ready=f"{programs}/pg_isready -q -h 127.0.0.1", stop="INT", cwd="/work")


async def sql(sandbox: Workspace, programs: str, text: str) -> str:
    """What the database says to one statement."""
    found = await sh(
        sandbox, f'{programs}/psql -h 127.0.0.1 -U agent -d postgres -X -q -A -t -v ON_ERROR_STOP=1 -c "{text}"'
    )
    return found.text.strip()


def used(top: Path) -> int:
    """Bytes that a folder takes on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in [top, *top.rglob("*")])
