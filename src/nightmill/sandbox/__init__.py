"""Where commands run and can do no harm; snapshot and restore. Takes: Command. Gives: Outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

__all__ = [
    "Command",
    "Entry",
    "Limits",
    "Outcome",
    "Output",
    "Place",
    "Sandbox",
    "Sandboxes",
    "Workspace",
]

Output = Callable[[bytes], None]
"""Called with pieces of a command's output as they arrive; of a flood that comes faster than it is taken, with some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one command. Sizes are bytes, times are seconds."""

    seconds: float = 30.0
    processes: int = 512
    file_size: int = 1 << 30
    memory: int = 2 << 30
    output: int = 1 << 20
    """What is kept of the output; the middle of a longer one is dropped, its length is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run. *argv* is run as it is; shell text is ("bash", "-lc", text)."""

    argv: tuple[str, ...]
    cwd: str = "/work/repo"
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended. A non-zero exit, a timeout and a memory kill are outcomes, not errors.

    Attributes:
        exit: Exit status; negative: the signal that ended it.
        output: Standard output and error as they came, at most `Limits.output` bytes, the middle cut out.
        dropped: How many bytes were cut out of the middle of *output*, at the offset `cut`.
        stopped: The limit that ended the command, if one did; "output" is one that wrote more than `Limits.file_size`.
    """

    exit: int
    output: bytes
    seconds: float
    dropped: int = 0
    cut: int = 0
    stopped: Literal["", "timeout", "memory", "processes", "output", "cancelled"] = ""

    @property
    def text(self) -> str:
        """The output as text, the gap marked."""
        if not self.dropped:
            return self.output.decode("utf-8", "replace")
        head, tail = self.output[: self.cut], self.output[self.cut :]
        gap = f"\n[… {self.dropped:,} bytes left out …]\n"
        return head.decode("utf-8", "replace") + gap + tail.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name in a directory; *kind* is "file", "directory", "link" or "other"."""

    path: str
    kind: Literal["file", "directory", "link", "other"]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a sandbox is built from.

    Attributes:
        directory: The run's own folder on the host: live upper, work folder and packs.
        layers: Read-only folders below the upper, lowest first; their union is /work inside.
        snapshot: Restore this snapshot of *directory* first; "": start with an empty upper.
        hosts: Names that the egress proxy lets through, as "host" or "*.host"; empty: no network at all.
        tools: Host programs shown read-only in /opt/nightmill/bin, by their name inside.
        files: Host files shown read-only, by their absolute path inside, which nothing in /work may be.
        env: Environment of every command, on top of the sandbox's own.
    """

    directory: Path
    layers: tuple[Path, ...]
    snapshot: str = ""
    hosts: tuple[str, ...] = ()
    tools: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


class Sandbox(Protocol):
    """A place where an agent's commands run and can do no harm outside it.

    One per run: /work is copy-on-write over the layers (the checkout is /work/repo, HOME is /work/home),
    /usr is the host's and read-only, /tmp is memory, there is no network but the allowlist.
    """

    async def run(self, command: Command, *, output: Output | None = None) -> Outcome:
        """Run *command* and wait for it; cancelling the task kills it. Several may run at once.

        A non-zero exit is an `Outcome`, not an error; so are a timeout and a memory kill.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        ...

    async def snapshot(self) -> str:
        """Keep what /work holds now and return its id; what runs goes on. Unchanged: the id from before.

        Raises:
            SandboxError: If it could not be written whole.
        """
        ...

    async def close(self) -> None:
        """End every process inside and wait until the kernel has; snapshots stay. Safe to repeat."""
        ...


class Workspace(Sandbox, Protocol):
    """A sandbox whose files can be read and written without starting a program.

    Paths are absolute inside and resolved inside: a symbolic link leads nowhere else.
    """

    async def read(self, path: str, *, limit: int) -> bytes:
        """The first *limit* bytes of the regular file *path*.

        Raises:
            ToolError: If it is missing, not a regular file or not readable; the message says which.
        """
        ...

    async def write(self, path: str, body: bytes) -> None:
        """Make *path* a regular file that holds *body*: written beside it and renamed, its mode kept.

        Raises:
            ToolError: If it cannot be written; the message says why.
        """
        ...

    async def list(self, path: str, *, depth: int, limit: int) -> list[Entry]:
        """Entries below *path*, sorted, at most *limit*; `.git` is not entered.

        Raises:
            ToolError: If *path* is not a directory.
        """
        ...


class Sandboxes(Protocol):
    """A way to make sandboxes on this machine."""

    async def open(self, place: Place) -> Workspace:
        """Build a sandbox from *place* and wait until it answers.

        Raises:
            SandboxError: If the host cannot give one (the hint says which knob), or a snapshot is damaged.
        """
        ...
