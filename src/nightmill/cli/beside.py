"""A worker beside this process, started when none is alive."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nightmill.cli import bell
from nightmill.cli.door import fingerprints, for_workers
from nightmill.cli.screen import say
from nightmill.cli.surroundings import surroundings

if TYPE_CHECKING:
    from nightmill.cli.door import Door

__all__ = ["attended", "ensure", "note", "start", "wake"]

IDLE = 60.0
"""Seconds after which a worker that was started here ends when there is nothing to do."""

PATIENCE = 60.0
"""Seconds in which a worker is up."""


def ensure(door: Door) -> None:
    """Start a worker beside this process if none is alive; it outlives the terminal and ends when it is idle."""
    if not door.alive():
        _started(door, stdin=subprocess.DEVNULL)


@contextmanager
def attended(door: Door) -> Iterator[None]:
    """Around the queueing of work: afterwards a worker is there and looks, with what is set here if that can be had.

    A worker that holds something else and does nothing goes before it could begin with the work.
    """
    bell.ring(door.settings.home, **_held(door))
    yield
    wake(door)


def wake(door: Door) -> None:
    """Have a worker look for work at once, and say so if it holds something else than what is set here."""
    answer = bell.ring(door.settings.home, **_held(door))
    if not answer.done:
        ensure(door)
    note(answer)


def note(answer: bell.Answer) -> None:
    """Say what the worker that gave *answer* holds otherwise than is set here, and how to change that."""
    if not answer.unlike:
        return
    what = f"the worker that is alive (process {answer.pid}) has another {', '.join(answer.unlike)} than is set here"
    if answer.stays:
        say(f"! {what}: its own counts; for yours, start it again with that where it was started", style="yellow")
    else:
        way = f"once its work is over the next one has yours; at once: kill {answer.pid} && nightmill worker, and runs go on"
        say(f"! {what}: its own counts; {way}", style="yellow")


def _held(door: Door) -> dict[str, dict[str, str]]:
    return {"keys": fingerprints(), "held": surroundings(door.settings)}


def start(door: Door, question: dict[str, Any]) -> bool:
    """Start a worker that begins with what the *question* of `bell` asks; whether it did that.

    If not, it is gone and has touched nothing.
    """
    log = door.settings.home / "worker.log"
    new = not log.exists()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = _started(door, "--on-word", stdin=theirs.fileno())
        theirs.close()
        ours.settimeout(PATIENCE)
        try:
            if bell.answered(ours, question).done:
                return True
        except BaseException:
            process.kill()
            raise
    if new and not log.stat().st_size:
        log.unlink()
    return False


def _started(door: Door, *words: str, stdin: int) -> subprocess.Popen[bytes]:
    with (door.settings.home / "worker.log").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "nightmill.cli", "worker", "--until-idle", str(IDLE), *words],
            stdin=stdin,
            stdout=out,
            stderr=out,
            cwd="/",
            start_new_session=True,
            env=for_workers(door),
        )
