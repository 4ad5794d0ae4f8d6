"""The runner where no kernel hands over orphans and nothing ends with PID 1, as on macOS: a command is its session.

Whoever begins a session of its own and loses its parent is found by nothing here. It keeps the lifeline open, a file that
all that is started inherits, by which the host sees that something is left. Nothing here signals "all processes": outside
a namespace those are everyone's.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # signal.py without its enums
import posix as os  # what os itself would add is slow to import, and never used here
import resource
import struct
import time

from nightmill.sandbox.inside.container import moved
from nightmill.sandbox.inside.files import stored
from nightmill.sandbox.inside.keeper import become, close_all_but, kill, processes
from nightmill.sandbox.inside.runner import GIVE_UP, KEEPER_LATE, Runner

__all__ = ["SessionRunner", "start"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn

    from nightmill.sandbox.inside.job import Job

LEAVING = 10.0
"""Seconds for what was killed to end, on a busy machine; the host waits twice that."""

PROC_PIDTASKINFO, TASKINFO, RESIDENT = 4, 96, 8
"""From `<sys/proc_info.h>`: what to ask for, the size of the answer, and where the resident bytes are in it."""


class SessionRunner(Runner):
    """Keepers only wait; what is left of a command is what is in its session. *lifeline* is passed on to all."""

    def __init__(self, source: int, sink: int, lifeline: int) -> None:
        super().__init__(source, sink, -1)
        self.lifeline = lifeline

    def leave(self, code: int) -> NoReturn:
        """End what can be found of all commands, then oneself."""
        end = time.monotonic() + LEAVING
        while any([self.remains(job) for job in self.jobs.values()]) and time.monotonic() < end:  # noqa: C419 - each is ended
            time.sleep(0.01)
            self.reap()
        os._exit(code)

    def obey(self, header: Dict[str, Any], body: bytes) -> None:
        """Do what one frame asks; the signal to end waits meanwhile: whoever was forked is known before."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            super().obey(header, body)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def remains(self, job: Job) -> bool:
        """End a command; whether something of it was there, or may begin yet."""
        if not job.session and job.status >= 0:
            self.hear(job)
        return self.end(job) or job.keeper in self.children

    def keep(self, spec: Dict[str, Any], source: int, sink: int, report: int, groups: List[int]) -> NoReturn:
        """Start the command, tell its session, then its end."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        close_all_but(source, sink, report, self.lifeline, *groups)
        wait, go = os.pipe()
        main = os.fork()
        if main == 0:
            os.close(go)
            if os.read(wait, 1):  # else its keeper was killed, and nobody would know of it
                become(spec, source, sink)
            os._exit(126)
        os.close(source)
        os.close(sink)
        os.write(report, struct.pack("ii", main, 0))
        os.write(go, b"1")
        _, status = os.waitpid(main, 0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        os.write(report, struct.pack("ii", code, 1))
        os._exit(0)

    def prepare(self, *_: Any) -> None:
        """Have none wait: a keeper is given its lifeline as it is forked."""

    def given(self, body: bytes) -> int:
        """A descriptor to read *body* from: of a file in the folder that we stand in, which no other name leads to."""
        if not body:
            return super().given(body)
        name = ".stdin-%d" % os.getpid()
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.unlink(name)
        return stored(file, body)

    def begun(self, job: Job) -> List[int]:
        """The first process of a command, if it lives."""
        return [job.session] if job.session and job.exit is None else []

    def hear(self, job: Job) -> None:
        """The keeper tells the session, then the end; if it ends itself without that, it was killed."""
        try:
            told = os.read(job.status, 8)
        except BlockingIOError:
            return
        if not told:
            job.status = self.forget(job.status)
            job.stop("" if job.exit is not None else "lost")
            return
        number, ended = struct.unpack("ii", told)
        if ended:
            job.exit = number
        else:
            job.session = number

    def sweep(self, job: Job) -> bool:
        """Kill what a command left behind; whether anything was left."""
        job.ended = job.ended or time.monotonic()
        late = time.monotonic() - job.ended
        if late > GIVE_UP:
            self.leave(75)  # something cannot be killed
        if late > KEEPER_LATE:
            kill(job.keeper, signal.SIGKILL)  # stopped by a command
        return self.end(job) or job.keeper in self.children

    def end(self, job: Job) -> bool:
        """Kill what is in the command's session; whether anything was there."""
        if job.session <= 1:  # not told yet; and these numbers would mean everyone
            return False
        kill(
            -job.session, signal.SIGKILL
        )  # most are of one group, and a fork bomb cannot outrun one call of the kernel
        if job.exit is None:
            kill(
                job.session, signal.SIGKILL
            )  # it may have no session of its own yet; its keeper still holds the number
        found = members(job.session)
        for pid in found:
            kill(pid, signal.SIGKILL)
        return bool(found)

    def excess(self, job: Job) -> str:
        """Which limit on its whole session a command has passed, "" if none."""
        found = members(job.session) if job.session else {}
        if len(found) > job.spec["processes"]:
            return "processes"
        return "memory" if sum(found.values()) > job.spec["memory"] else ""


def members(session: int) -> Dict[int, int]:
    """The live processes of *session*, with the bytes of memory that each holds."""
    return {pid: size for pid, size in alive().items() if in_session(pid, session)}


def in_session(pid: int, session: int) -> bool:
    """Whether *pid*, which may be gone, is in *session*."""
    try:
        return os.getsid(pid) == session
    except OSError:
        return False


def alive() -> Dict[int, int]:
    """Live processes that may be looked at: pid → bytes of memory."""
    if os.uname().sysname == "Darwin":
        return told()
    return {pid: pages * resource.getpagesize() for pid, (_, pages, _) in processes().items()}


def told() -> Dict[int, int]:
    """The same from macOS' own library. **No Mac has run it.** Without its answer only process groups are ended."""
    import ctypes

    library = ctypes.CDLL("/usr/lib/libproc.dylib")
    pids = (ctypes.c_int * (library.proc_listallpids(None, 0) + 64))()
    number = library.proc_listallpids(pids, ctypes.sizeof(pids))
    found, info = {}, ctypes.create_string_buffer(TASKINFO)
    for pid in pids[: max(0, number)]:
        size = library.proc_pidinfo(pid, PROC_PIDTASKINFO, ctypes.c_uint64(0), info, TASKINFO)
        found[pid] = struct.unpack_from("Q", info, RESIDENT)[0] if size == TASKINFO else 0
    return found


def start(lifeline: int) -> None:
    """Become the runner on standard input and output, in the folder of temporary files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o022)
    source, sink = moved(0), moved(1)
    for fd in (source, sink):
        os.set_inheritable(fd, False)
    runner = SessionRunner(source, sink, lifeline)
    signal.signal(signal.SIGTERM, lambda *_: runner.leave(0))
    runner.serve()
