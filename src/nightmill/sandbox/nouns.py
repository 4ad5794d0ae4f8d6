"""What goes into a sandbox and comes out of it: commands, limits, outcomes, places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

__all__ = [
    "GUARANTEES",
    "Answering",
    "Asked",
    "Command",
    "Entry",
    "Gateway",
    "Guarantee",
    "Limits",
    "Outcome",
    "Output",
    "Place",
    "Service",
    "ServiceState",
]

Output = Callable[[bytes], None]
"""Called with pieces of a command's output as they arrive; of a flood that comes faster than it is taken, with some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one command. Sizes are bytes, times are seconds."""

    seconds: float = 30.0
    processes: int = 512
    file_size: int = 1 << 30
    memory: int = 256 << 20
    output: int = 1 << 20
    """What is kept of the output; the middle of a longer one is dropped, its length is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run. *argv* is run as it is; shell text is ("bash", "-lc", text).

    A *patient* one waits for whoever listens to its output, so that nothing is lost on the way there.
    """

    argv: tuple[str, ...]
    cwd: str = "/work/repo"
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits = Limits()
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended. A non-zero exit, a timeout and a memory kill are outcomes, not errors.

    Attributes:
        exit: Exit status; negative: the signal that ended it.
        output: Standard output and error as they came, at most `Limits.output` bytes, the middle cut out.
        dropped: How many bytes were cut out of the middle of *output*, at the offset `cut`.
        stopped: The limit that ended the command, if one did; "output" is one that wrote more than `Limits.file_size`,
            "disk" one during which /work outgrew `Place.quota`.
    """

    exit: int
    output: bytes
    seconds: float
    dropped: int = 0
    cut: int = 0
    stopped: Literal["", "timeout", "memory", "processes", "output", "disk", "cancelled"] = ""

    @property
    def text(self) -> str:
        """The output as text, the gap marked."""
        if not self.dropped:
            return self.output.decode("utf-8", "replace")
        head, tail = self.output[: self.cut], self.output[self.cut :]
        gap = f"\n[… {self.dropped:,} bytes left out …]\n"
        return head.decode("utf-8", "replace") + gap + tail.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program that runs beside the commands, in the same sandbox and on the same loopback, until it is stopped.

    Attributes:
        run: Shell text that stays in the foreground.
        ready: Shell text that succeeds once the service answers; "": it counts as ready when it was started.
        patience: Seconds that may take.
        after: Names of services that have to be ready first.
        stop: Name of the signal that asks it to end, without "SIG"; *grace* seconds later it is killed.
        memory: Bytes that all of its processes may take together.
    """

    name: str
    run: str
    ready: str = ""
    patience: float = 60.0
    after: tuple[str, ...] = ()
    stop: str = "TERM"
    grace: float = 10.0
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/work/repo"
    memory: int = 2 << 30
    processes: int = 1024

    @property
    def log(self) -> str:
        """Where its output can be read inside: the newest part of it, as text that commands could have changed."""
        return f"/tmp/services/{self.name}.log"  # noqa: S108 - the sandbox's own


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How a service is.

    Attributes:
        state: "starting"; "ready"; "unready" (it runs, but did not answer in time); "ended".
        exit: Of "ended": its exit status; negative: the signal that ended it.
        reason: Why it is not ready, in words.
        seconds: From its start until it was ready.
    """

    name: str
    state: Literal["starting", "ready", "unready", "ended"]
    exit: int = 0
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name in a directory; *kind* is "file", "directory", "link" or "other"."""

    path: str
    kind: Literal["file", "directory", "link", "other"]
    size: int


GUARANTEES: Mapping[str, str] = {
    "kernel_isolated": "What runs inside has a kernel of its own.",
    "user_isolated": "It runs as a user who owns nothing else on the machine.",
    "syscall_filter": "System calls that only reach into the kernel are refused.",
    "no_new_privileges": "No program gains rights by being started, setuid or not.",
    "network_policy": "Nothing is reached but what the place names.",
    "live_snapshot": "/work is kept while it runs.",
    "fork": "One snapshot is the beginning of many sandboxes, without a copy for each.",
    "hard_memory_limit": "The kernel bounds the memory of a command, files in memory and all its processes together.",
    "hard_process_limit": "The kernel bounds the number of processes.",
    "hard_disk_limit": "The file system bounds what /work takes.",
}
"""Each by its name, with what it means where it is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """What the sandboxes of a machine hold, or do not.

    Attributes:
        name: One of `GUARANTEES`.
        how: What holds it, or what there is instead.
        fix: Of one that is not held: what to change on the machine, "" if nothing would give it.
    """

    name: str
    held: bool
    how: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request to the gateway, whole. Names of *headers* are in lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first value of *name*, "" if there is none."""
        return next((value for each, value in self.headers if each == name), "")


class Answering(Protocol):
    """The answer to one request, piece by piece."""

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the head."""
        ...

    async def write(self, piece: bytes) -> None:
        """Send more of the body."""
        ...


class Gateway(Protocol):
    """Answers what a sandbox asks of its own loopback port: not a way to a host, but this process itself."""

    async def answer(self, asked: Asked, answering: Answering) -> None:
        """Answer *asked*; cancelled when nobody inside waits for it any more. What it raises ends the connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a sandbox is built from.

    Attributes:
        directory: The run's own folder on the host: live upper, work folder and packs.
        layers: Read-only folders below the upper, lowest first; their union is /work inside.
        snapshot: Restore this snapshot of *directory* first; "": start with an empty upper.
        run: Whose it is, for the record of its requests; "": nobody's.
        hosts: Names that the egress proxy lets through, as "host" or "*.host"; empty: no network at all.
        inspect: Those of them whose TLS the proxy opens, to check and record each request inside.
        credentials: Ids of the credentials that the proxy may add to requests.
        gateway: Answers requests to the proxy's port that name no host.
        trusted: Certificates (PEM) that are trusted inside besides the host's; with a network, the proxy's are added.
        tools: Host programs shown read-only in /opt/nightmill/bin, by their name inside.
        files: Host files shown read-only, by their absolute path inside, which nothing in /work may be.
        env: Environment of every command, on top of the sandbox's own.
        services: Started when the sandbox is opened.
        requires: Guarantees without which nothing starts.
        quota: Bytes of disk that what is written to /work may take.
    """

    directory: Path
    layers: tuple[Path, ...]
    snapshot: str = ""
    run: str = ""
    hosts: tuple[str, ...] = ()
    inspect: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    gateway: Gateway | None = None
    trusted: bytes = b""
    tools: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    requires: frozenset[str] = frozenset()
    quota: int = 10 << 30

    @property
    def connected(self) -> bool:
        """Whether there is anything that it could ask."""
        return bool(self.hosts) or self.gateway is not None
