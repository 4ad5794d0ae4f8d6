"""A keeper that is forked before there is a command for it, while nobody waits: a fork takes a tenth of a short command.

It has been told nothing and has opened nothing; a command that ends it or holds it still costs the next one that tenth.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # signal.py without its enums
import _socket
import marshal
import posix as os  # what os itself would add is slow to import, and never used here
import struct
import time

from nightmill.sandbox.inside.gate import received
from nightmill.sandbox.inside.keeper import close_all_but, kill, prctl, tend

__all__ = ["Ahead"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Optional, Set

LONGEST = 160_000
"""Bytes of a command, with its environment, that are told in one piece."""

WAITS = 1.0
"""Seconds until it goes: after a longer wait nobody notices what it saves, and it holds half a megabyte."""


class Ahead:
    """At most one keeper that waits; *children* are the process ids of what lives below the runner."""

    def __init__(self, children: Set[int]) -> None:
        self.children, self.pid, self.word, self.until = children, 0, -1, 0.0

    def fork(self) -> None:
        """Have one wait."""
        if self.word >= 0:
            return
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.word, word = ours.detach(), theirs.detach()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                wait(word)
            finally:
                os._exit(70)
        os.close(word)
        self.children.add(self.pid)
        self.until = time.monotonic() + WAITS

    def patience(self) -> Optional[float]:
        """Seconds until this is to be asked again; None: none waits any more."""
        if self.word >= 0 and time.monotonic() >= self.until:
            self.end()
        return max(0.0, self.until - time.monotonic()) if self.word >= 0 else None

    def take(self, spec: Dict[str, Any], given: List[int]) -> int:
        """Have the one that waits keep the command *spec* with the descriptors *given*; its id, 0: there is none that can."""
        told = marshal.dumps(spec)
        if self.pid not in self.children or self.word < 0 or len(told) > LONGEST or doomed(self.pid):
            return 0
        door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, self.word)
        try:
            door.setblocking(False)
            rights = struct.pack("%di" % len(given), *given)
            door.sendmsg([told], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        except OSError:
            return 0
        finally:
            door.detach()
        kill(self.pid, signal.SIGCONT)  # a command may have stopped all that it could
        pid, self.pid = self.pid, 0
        os.close(self.word)
        self.word = -1
        return pid

    def end(self) -> None:
        """Let none wait, and see to it that it is gone."""
        if self.word >= 0:
            os.close(self.word)
            self.word = -1
        if self.pid in self.children:
            kill(self.pid, signal.SIGKILL)
            try:
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                pass
            self.children.discard(self.pid)
        self.pid = 0


def doomed(pid: int) -> bool:
    """Whether the child *pid* has ended, or was killed: on a busy machine it takes a while until that has come to it."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] in (b"Z", b"X") or bool(int(fields[28]) >> (signal.SIGKILL - 1) & 1)


def wait(word: int) -> NoReturn:
    """Wait for a command on the socket *word*, then be its keeper."""
    prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    close_all_but(word)
    told, given = received(word, LONGEST)
    os.close(word)
    if not told:
        os._exit(0)  # nobody wants it any more
    source, sink, report, *groups = given
    tend(marshal.loads(told), source, sink, report, groups)  # noqa: S302 - from the runner
