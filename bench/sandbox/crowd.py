"""A hundred sandboxes at once: until all answer, what they hold, and whether all of them work."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, spread
from bench.process import below
from bench.sandbox.ground import Ground, Timer
from nightmill.sandbox import Command, Workspace
from nightmill.sandbox.disk.layers import remove

__all__ = ["MemoryOf", "figures"]

COUNT = 100

MemoryOf = Callable[[list[int]], float]
"""PSS of processes in MB, asked of who may read it: PID 1 of a sandbox is closed even to its owner."""

WORK = (
    "import hashlib, os, sys\nfound = [os.path.join(d, f) for d, _, fs in os.walk('part0/group0') for f in fs]\n"
    "total = hashlib.sha256(b''.join(open(p, 'rb').read() for p in sorted(found)))\n"
    "open('mine', 'w').write(sys.argv[1])\nprint(total.hexdigest(), open('mine').read())"
)
"""Reads some hundred files, writes one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Seconds, and MB for each of `COUNT` sandboxes."""

    ready: float
    worked: float
    pss: float
    available: float
    processes: int


def figures(ground: Ground, memory_of: MemoryOf) -> Iterator[Figure]:
    """Three crowds, one after the other."""
    asyncio.run(_crowd(ground, memory_of, count=4))  # what is made once per process is made
    found = [asyncio.run(_crowd(ground, memory_of, count=COUNT)) for _ in range(ground.rounds(3))]
    name = f"{COUNT} sandboxes at once"
    yield Figure(
        name=f"{name}: until all are ready", unit=" s", values=spread([each.ready for each in found]), goal=4.0
    )
    values, told = (
        spread([each.worked for each in found]),
        f"each starts Python, reads 400 files, writes one; {COUNT} of {COUNT} did",
    )
    yield Figure(name=f"{name}: until all have worked", unit=" s", values=values, detail=told)
    values, told = spread([each.pss for each in found]), f"{found[0].processes} processes"
    yield Figure(name=f"{name}: memory of each, PSS", unit=" MB", values=values, goal=3.0, detail=told)
    values = spread([each.available for each in found])
    yield Figure(name=f"{name}: memory of each, what the machine has less of", unit=" MB", values=values, goal=3.0)


async def _crowd(ground: Ground, memory_of: MemoryOf, *, count: int) -> Crowd:
    places = [ground.place(f"crowd{number}") for number in range(count)]
    before = available()
    with Timer() as ready:
        opened = await asyncio.gather(*(ground.sandboxes.open(place) for place in places))
    try:
        time.sleep(0.5)  # noqa: ASYNC251 - freed pages come back late; nothing else is to run
        held = before - available()
        pids = below(os.getpid())
        pss = memory_of(pids)
        with Timer() as worked:
            said = await asyncio.gather(*(_work(sandbox, str(number)) for number, sandbox in enumerate(opened)))
        digests = {words[0] for words in said}
        assert len(digests) == 1, "not all read the same"
        assert [words[1] for words in said] == [str(number) for number in range(count)]
    finally:
        await asyncio.gather(*(sandbox.close() for sandbox in opened))
        for place in places:
            remove(place.directory)
    return Crowd(
        ready=ready.seconds, worked=worked.seconds, pss=pss / count, available=held / count, processes=len(pids)
    )


async def _work(sandbox: Workspace, number: str) -> list[str]:
    found = await sandbox.run(Command(argv=("python3", "-c", WORK, number)))
    assert found.exit == 0, found.text
    return found.text.split()


def available() -> float:
    """MB that programs could still have."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) / 1024
