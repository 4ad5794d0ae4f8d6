"""The first process inside a sandbox: starts commands, reads and writes files, ends when the host goes away.

Frames in both directions are two 32-bit lengths, a header and a body. Headers from the host, which is trusted,
are marshal; headers to the host are flat JSON, because the host trusts nothing that comes from here.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # signal.py without its enums
import errno
import marshal
import posix as os  # what os itself would add is slow to import, and never used here
import select
import struct
import time
from _json import encode_basestring_ascii as quote

from nightmill.sandbox.inside.ahead import Ahead
from nightmill.sandbox.inside.dialogue import Dialogue, ends
from nightmill.sandbox.inside.files import OPERATIONS, stored
from nightmill.sandbox.inside.gate import admitted, enter
from nightmill.sandbox.inside.job import WATCH, Job
from nightmill.sandbox.inside.keeper import below, close_all_but, crowd, excess, keep, kill, prctl, processes, strays
from nightmill.sandbox.inside.lasting import Lasting
from nightmill.sandbox.inside.relay import listen, relay
from nightmill.sandbox.inside.rest import WAKE, rest
from nightmill.sandbox.inside.terminal import Terminal, pair, window

__all__ = ["GIVE_UP", "KEEPER_LATE", "OWN", "Runner", "start"]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Set

CHUNK, BACKLOG = 1 << 18, 1 << 20
KEEPER_LATE, GIVE_UP = 2.0, 30.0
"""Seconds after a command's end until its keeper, and until the sandbox, is given up."""
CALM, CROWD, FEW = 5, 300, 50
"""Sweeps after which, and processes above which, everything is stopped before it is sorted out; more than all may have."""
HOME = "/work/home"


class Runner:
    """The loop: frames from the host, output and ends of commands, clocks."""

    def __init__(self, source: int, sink: int, gate: int, python: str = "") -> None:
        self.source, self.sink, self.incoming, self.outgoing = source, sink, bytearray(), bytearray()
        self.gate, self.python = gate, python
        self.jobs: Dict[int, Job] = {}
        self.handlers: Dict[int, Callable[[], Any]] = {}
        self.children: Set[int] = set()
        self.ahead = Ahead(self.children)
        self.relay = 0
        self.listener: Any = None
        self.ferry: Any = None
        self.poll = select.poll()
        self.watch(source, self.receive)
        if sink != source:
            self.watch(sink, self.flush)

    def watch(self, fd: int, handler: Callable[[], Any]) -> None:
        """Call *handler* whenever *fd* has something to read or has ended."""
        os.set_blocking(fd, False)
        self.handlers[fd] = handler
        self.poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> int:
        """Stop watching *fd* and close it. Gives -1, to keep instead: the number will be another's soon."""
        if self.handlers.pop(fd, None):
            self.poll.unregister(fd)
            os.close(fd)
        return -1

    def serve(self) -> None:
        """Run until the host closes its end; PID 1 ending ends everything inside."""
        self.send({"ready": 1})
        while True:
            wait = self.patience()
            for fd, what in self.poll.poll(wait if wait is None else 1000 * wait):
                if what & select.POLLERR and fd in (self.source, self.sink):
                    self.leave(0)
                if fd in self.handlers:
                    self.handlers[fd]()
            self.reap()
            for job in list(self.jobs.values()):
                self.look_after(job)
            if self.outgoing:
                self.flush()

    def leave(self, code: int) -> NoReturn:
        """End; the kernel ends all else in the namespace with us."""
        os._exit(code)

    def patience(self) -> Optional[float]:
        """Seconds until a clock needs attention, None if there is none to watch."""
        if not self.jobs:
            return 0.05 if self.children - {self.relay, self.ahead.pid} else self.ahead.patience()
        if any(job.ending for job in self.jobs.values()):
            return 0.002
        first: float = min(min(job.deadline, job.watch) for job in self.jobs.values())
        return max(0.0, first - time.monotonic())

    def send(self, header: Dict[str, Any], body: bytes = b"") -> None:
        """Queue a frame for the host and write what the socket takes."""
        parts = [quote(name) + ":" + (quote(v) if isinstance(v, str) else repr(v)) for name, v in header.items()]
        plain = ("{" + ",".join(parts) + "}").encode()
        self.outgoing += struct.pack(">II", len(plain), len(body)) + plain + body
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes now; ask to be woken when it takes more."""
        wanted = select.POLLIN if self.sink == self.source else 0
        try:
            while self.outgoing:
                del self.outgoing[: os.write(self.sink, self.outgoing[:CHUNK])]
        except BlockingIOError:
            wanted |= select.POLLOUT
        self.poll.modify(self.sink, wanted)
        for job in self.jobs.values():
            if job.held and not self.outgoing:
                job.held = False
                self.poll.register(job.out, select.POLLIN)
        if self.ferry and not self.outgoing:
            self.ferry.resume()

    def receive(self) -> None:
        """Read what the host sent and obey every whole frame."""
        try:
            piece = os.read(self.source, CHUNK)
        except BlockingIOError:
            return
        if not piece:
            self.leave(0)
        self.incoming += piece
        while len(self.incoming) >= 8:  # two lengths
            if self.incoming[0] == WAKE:  # no length is so large
                del self.incoming[0]
                continue
            length, extra = struct.unpack_from(">II", self.incoming)
            end = 8 + length + extra
            if len(self.incoming) < end:
                return
            header, body = marshal.loads(bytes(self.incoming[8 : 8 + length])), bytes(self.incoming[8 + length : end])  # noqa: S302 - from the host
            del self.incoming[:end]
            self.obey(header, body)

    def obey(self, header: Dict[str, Any], body: bytes) -> None:
        """Do what one frame asks; what fails is told with its errno."""
        try:
            own = OWN.get(header["op"])
            if own:
                own(self, header, body)
            else:
                told, content = OPERATIONS[header["op"]](header, body)
                self.send(dict(told, id=header["id"]), content)
        except (OSError, ValueError, KeyError) as error:
            name = errno.errorcode.get(getattr(error, "errno", None) or errno.EINVAL, "EIO")
            self.send({"id": header["id"], "error": name, "text": getattr(error, "strerror", None) or str(error)})

    def run(self, spec: Dict[str, Any], body: bytes) -> None:
        """Start a command below a keeper of its own."""
        groups = admitted(self.gate, spec["id"]) if spec["held"] else []
        if spec["op"] in PAIRS:
            out, sink = PAIRS[spec["op"]](spec)
            source = os.dup(sink)
        else:
            source = self.given(body)
            out, sink = os.pipe()
        status, report = os.pipe()
        pid = self.ahead.take(spec, [source, sink, report, *groups]) or os.fork()
        if pid == 0:
            try:
                self.keep(spec, source, sink, report, groups)
            finally:
                os._exit(70)
        for fd in (source, sink, report, *groups):
            os.close(fd)
        self.children.add(pid)
        job = self.jobs[spec["id"]] = JOBS[spec["op"]](spec, pid, out, status)
        self.watch(out, lambda: self.drain(job))
        self.watch(status, lambda: self.hear(job))

    def keep(self, spec: Dict[str, Any], source: int, sink: int, report: int, groups: List[int]) -> NoReturn:
        """Be the keeper of a command."""
        keep(spec, source, sink, report, groups)

    def still(self, asked: Dict[str, Any], _: bytes) -> None:
        """Answer, once everything that was asked before has begun, and nothing is left that only waits."""
        self.ahead.end()
        self.send({"id": asked["id"]})

    def prepare(self, *_: Any) -> None:
        """Have a keeper wait for the next command."""
        self.ahead.fork()

    def given(self, body: bytes) -> int:
        """A descriptor to read *body* from."""
        return stored(os.memfd_create("stdin"), body) if body else os.open("/dev/null", os.O_RDONLY)

    def begun(self, job: Job) -> List[int]:
        """The first process of a command, if it lives."""
        return [pid for pid, (parent, _, _) in processes().items() if parent == job.keeper]

    def cancel(self, asked: Dict[str, Any], _: bytes) -> None:
        """End a job now, if it still runs."""
        if asked["id"] in self.jobs:
            self.jobs[asked["id"]].stop(asked["why"])

    def halt(self, asked: Dict[str, Any], _: bytes) -> None:
        """Ask a service to end, by a signal to its first process; what has not ended after its grace is killed."""
        job = self.jobs.get(asked["id"])
        if job and not job.ending:
            job.deadline = time.monotonic() + asked["grace"]
            begun = self.begun(job)
            for pid in begun:
                kill(pid, asked["signal"])
            if not begun:
                job.stop("cancelled")

    def enter(self, asked: Dict[str, Any], body: bytes) -> None:
        """Type *body* on a terminal."""
        job = self.jobs.get(asked["id"])
        if isinstance(job, Terminal) and job.out >= 0:
            job.enter(body)
            if not job.held:
                self.poll.modify(job.out, select.POLLIN | (select.POLLOUT if job.typed else 0))

    def resize(self, asked: Dict[str, Any], _: bytes) -> None:
        """Give a terminal another size."""
        job = self.jobs.get(asked["id"])
        if isinstance(job, Terminal) and job.out >= 0:
            window(job.out, asked["rows"], asked["columns"])

    def log(self, asked: Dict[str, Any], _: bytes) -> None:
        """Give the newest output of a service; of one that ended, the host was given it with its end."""
        job = self.jobs.get(asked["of"])
        self.send({"id": asked["id"]}, job.result()[1] if job else b"")

    def drain(self, job: Job) -> bool:
        """Take one piece of output; False if there is none now."""
        if isinstance(job, Terminal) and job.typed:
            self.enter(job.spec, b"")
        if job.spec["whole"] and len(self.outgoing) >= BACKLOG:
            self.poll.unregister(job.out)
            job.held = True
            return False
        try:
            piece = os.read(job.out, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""  # EIO: nobody is left on the terminal
        if not piece:
            job.out = self.forget(job.out)
            return False
        job.take(piece)
        if job.spec["live"] and len(self.outgoing) < BACKLOG:
            self.send({"id": job.spec["id"], "live": 1}, piece)
        if job.total > job.bound:
            job.stop("output")
        return True

    def hear(self, job: Job) -> None:
        """The keeper tells the command's end; if it ends itself without that, it was killed."""
        try:
            told = os.read(job.status, 8)
        except BlockingIOError:
            return
        if told:
            job.exit, job.clean = struct.unpack("ii", told)
        else:
            job.status = self.forget(job.status)
            job.stop("" if job.exit is not None else "lost")

    def look_after(self, job: Job) -> None:
        """Enforce the clocks of one command; finish it once nothing of it is left."""
        now = time.monotonic()
        if now >= job.deadline:
            job.stop("timeout")
        elif now >= job.watch and not job.ending:
            job.watch = now + WATCH
            job.stop(self.excess(job))
        if not job.ending or (not job.clean and self.sweep(job)) or job.held:
            return
        for _ in range(64):  # what still holds the pipe from elsewhere must not keep the answer back
            if job.out < 0 or not self.drain(job):
                break
        self.forget(job.out)
        self.forget(job.status)
        self.reap()  # until then what has ended is counted, and the next command would miss it
        job.close()
        del self.jobs[job.spec["id"]]
        job.stopped = "" if job.stopped == "lost" else job.stopped
        self.send(*job.result())

    def sweep(self, job: Job) -> bool:
        """Kill what a command left behind; whether anything was left."""
        job.sweeps += 1
        job.ended = job.ended or time.monotonic()
        late = time.monotonic() - job.ended
        if late > GIVE_UP:
            self.leave(75)  # something cannot be killed
        if late > KEEPER_LATE:
            kill(job.keeper, signal.SIGKILL)  # stopped by a command; what it kept comes to us
        storm = job.sweeps > CALM or crowd() > CROWD
        if storm:
            kill(-1, signal.SIGSTOP)  # all at once, in one call of the kernel: a fork bomb cannot outrun it
        known = processes()
        found = strays(known, self.children)
        if job.keeper in self.children:
            found |= below(known, job.keeper)
        for pid in found:
            kill(pid, signal.SIGKILL)
        if storm:
            for pid in set(known) - found:
                kill(pid, signal.SIGCONT)
        return bool(found) or job.keeper in self.children

    def excess(self, job: Job) -> str:
        """Which limit on its whole tree a command has passed, "" if none."""
        storm = crowd() > sum(each.spec["processes"] for each in self.jobs.values()) + FEW
        if storm:
            kill(-1, signal.SIGSTOP)  # else this scan would get a thousandth of the processor
        found = excess(job.spec, job.keeper)
        if storm and not found:
            kill(-1, signal.SIGCONT)
        return found

    def reap(self) -> None:
        """Collect what ended. There is no process here whose status anyone else waits for."""
        try:
            while True:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                self.children.discard(pid)
        except ChildProcessError:
            self.children.clear()

    def forward(self, *_: Any) -> None:
        """Offer the host's proxy on a local port, from a process of its own; again if a command killed it."""
        self.listener = self.listener or listen()
        alive, held = os.pipe()
        self.relay = os.fork()
        if self.relay == 0:
            try:
                close_all_but(self.listener.fileno(), held)
                relay(self.listener)
            finally:
                os._exit(70)
        os.close(held)
        self.children.add(self.relay)
        self.watch(alive, lambda: self.restart(alive))

    def restart(self, alive: int) -> None:
        """The relay has ended."""
        self.forget(alive)
        self.forward()


JOBS: Dict[str, Callable[..., Job]] = {"run": Job, "serve": Lasting, "terminal": Terminal, "talk": Dialogue}
PAIRS = {"terminal": pair, "talk": ends}
OWN: Dict[str, Callable[[Runner, Dict[str, Any], bytes], None]] = {
    "run": Runner.run,
    "serve": Runner.run,
    "terminal": Runner.run,
    "talk": Runner.run,
    "type": Runner.enter,
    "resize": Runner.resize,
    "cancel": Runner.cancel,
    "halt": Runner.halt,
    "log": Runner.log,
    "network": Runner.forward,
    "still": Runner.still,
    "ahead": Runner.prepare,
    "rest": rest,
}


def start(source: int, sink: int, gate: int = -1, python: str = "", rested: str = "") -> None:
    """Become the runner, which hears the host on *source* and answers on *sink*; they may be one socket.

    Through *gate* come the control groups of what is to begin, first the runner's own. PID 1 that was started as a
    program of *python* may rest; *rested* is what it was before it did: with its "relay", or "alone".
    """
    prctl(4, 0)  # PR_SET_DUMPABLE: no command opens our memory or takes our descriptors
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the only signal that Python would let reach PID 1
    os.umask(0o022)
    try:
        os.mkdir(HOME, 0o777)
    except OSError:
        pass  # it is there, or the agent put something else there; that is its own affair
    for fd in {source, sink, gate} - {-1}:
        os.set_inheritable(fd, False)
    if gate >= 0 and not rested:
        enter(admitted(gate, 0))
    runner = Runner(source, sink, gate, python)
    if rested == "relay":
        runner.forward()
    runner.serve()
