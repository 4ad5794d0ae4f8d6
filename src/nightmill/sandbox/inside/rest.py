"""The runner's rest: while nothing is asked, PID 1 is a shell that waits for the host, with a twentieth of Python's memory.

A process that becomes another program can be opened by others of its user again until it is the runner once more and
says no. So it rests only where there is nobody else: no other process is inside, and none can come in.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # signal.py without its enums
import posix as os  # what os itself would add is slow to import, and never used here

from nightmill.sandbox.inside.keeper import kill, processes

__all__ = ["WAKE", "rest"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict

WAKE = 10
"""A line feed. The host writes one before whatever it says to a runner that it has sent to rest."""

SHELL, RUNNER = "/bin/sh", "/run/nightmill/runner.pyc"

WAIT = 'read -r _ && exec "$@" </dev/null'
"""At the end of the line the runner begins anew; at the end of the file all is over, as ever. `read` takes no byte more."""


def rest(runner: Any, _: Dict[str, Any], __: bytes) -> None:
    """Give the memory back until the host wakes us, if nothing of anyone is here. The relay is ours, and begins anew."""
    if not runner.python or runner.jobs or runner.incoming or runner.outgoing or not os.access(SHELL, os.X_OK):
        return
    runner.ahead.end()
    if set(processes()) - {os.getpid(), runner.relay}:
        return
    if runner.relay:
        kill(runner.relay, signal.SIGKILL)
        os.waitpid(runner.relay, 0)
    os.set_blocking(runner.source, True)
    os.dup2(runner.source, 0)
    for fd in {runner.source, runner.gate} - {-1}:
        os.set_inheritable(fd, True)
    again = [
        runner.python,
        "-I",
        "-S",
        RUNNER,
        str(runner.source),
        str(runner.gate),
        "relay" if runner.relay else "alone",
    ]
    os.execv(SHELL, ["sh", "-c", WAIT, "runner", *again])
