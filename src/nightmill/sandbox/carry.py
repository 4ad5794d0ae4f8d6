"""Carry what is in memory, /tmp and /dev/shm, from one start of a sandbox to the next.

All of it happens inside: what comes out is bytes that go in again, and the host does not look at them.
"""

from __future__ import annotations

from nightmill.sandbox.nouns import Command, Limits
from nightmill.sandbox.runner import Runner

__all__ = ["take", "unload"]

MOST = 16 << 20
"""Bytes that are worth carrying; with more, the sandbox is left as it is."""

OUT = """
shopt -s nullglob dotglob; set -- /tmp/* /dev/shm/*
[ $# = 0 ] || exec tar --create --format=posix --sparse --file=- --directory=/ "${@#/}" 2>/dev/null
"""
IN = "exec tar --extract --file=- --directory=/ --preserve-permissions"


async def take(runner: Runner) -> bytes | None:
    """What is in memory inside; None if it is too much, or cannot be taken whole.

    Raises:
        SandboxError: If the sandbox itself failed.
    """
    limits = Limits(output=MOST)
    told = await runner.run(Command(argv=("bash", "-c", OUT), cwd="/", limits=limits))
    whole = not told.exit and not told.stopped and not told.dropped
    return told.output if whole else None


async def unload(runner: Runner, carried: bytes) -> None:
    """Put *carried* where it was.

    Raises:
        SandboxError: If the sandbox itself failed.
    """
    if carried:
        await runner.run(Command(argv=("bash", "-c", IN), cwd="/", stdin=carried))
