"""A worker beside this process, started when none is alive."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from nightmill.cli import bell
from nightmill.cli.door import for_workers

if TYPE_CHECKING:
    from nightmill.cli.door import Door

__all__ = ["ensure", "start"]

IDLE = 60.0
"""Seconds after which a worker that was started here ends when there is nothing to do."""

PATIENCE = 60.0
"""Seconds in which a worker is up."""


def ensure(door: Door) -> None:
    """Start a worker beside this process if none is alive; it outlives the terminal and ends when it is idle."""
    if not door.alive():
        _started(door, stdin=subprocess.DEVNULL)


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
            if bell.answered(ours, question):
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
