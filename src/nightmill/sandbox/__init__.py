"""Where commands run and can do no harm; snapshot and restore. Takes: Command. Gives: Outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from nightmill.sandbox.nouns import (
    GUARANTEES,
    Answering,
    Asked,
    Command,
    Entry,
    Guarantee,
    Limits,
    Outcome,
    Output,
    Place,
    Service,
    ServiceState,
)

__all__ = [
    "GUARANTEES",
    "Answering",
    "Asked",
    "Command",
    "Dialogue",
    "Entry",
    "Guarantee",
    "Limits",
    "Outcome",
    "Output",
    "Place",
    "Sandbox",
    "Sandboxes",
    "Service",
    "ServiceState",
    "Services",
    "Terminal",
    "Workspace",
]


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

    async def reach(self, hosts: tuple[str, ...]) -> None:
        """Let *hosts* through from now on, and no others: those of the place, or fewer.

        It holds for all that runs here; connections to others are cut.

        Raises:
            SandboxError: If the place does not allow one of them.
        """
        ...

    async def snapshot(self) -> str:
        """Keep what /work holds now and return its id; what runs goes on. Unchanged: the id from before.

        Raises:
            SandboxError: If it could not be written whole.
        """
        ...

    async def roll_back(self, snapshot: str) -> None:
        """End every process inside and go on from *snapshot* ("": from the layers alone), as if opened there.

        Raises:
            SandboxError: If it is missing or damaged, and the sandbox is where it was; or if it cannot be gone to, and
                the sandbox is closed.
        """
        ...

    async def close(self) -> None:
        """End every process inside and wait until the kernel has; snapshots stay. Safe to repeat."""
        ...


class Services(Protocol):
    """The services of one sandbox: nothing but the host starts them, and commands cannot keep them from it."""

    async def start(self, *services: Service) -> None:
        """Start *services*, again if they run, and wait until each is ready or cannot be; what became of it is its state.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        ...

    async def stop(self, *names: str) -> None:
        """Ask *names* to end, and wait until they have; none given: all, those that others wait for last."""
        ...

    def states(self) -> tuple[ServiceState, ...]:
        """How each service is that was started."""
        ...

    async def log(self, name: str) -> bytes:
        """The newest output of *name*."""
        ...


class Dialogue(Protocol):
    """A command that is talked with: bytes both ways."""

    def type(self, body: bytes) -> None:
        """Type *body*; a program that does not read lets what is too much be lost."""
        ...

    def end(self) -> None:
        """End the command now, with all that it started."""
        ...

    async def ended(self) -> Outcome:
        """Wait for the command, however long it takes.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        ...


class Terminal(Dialogue, Protocol):
    """A command that a person works with."""

    def resize(self, *, rows: int, columns: int) -> None:
        """Give it another size."""
        ...


class Workspace(Sandbox, Protocol):
    """A sandbox whose files can be read and written without starting a program.

    Paths are absolute inside and resolved inside: a symbolic link leads nowhere else.
    """

    def rouse(self) -> None:
        """Say that something will be asked soon: what rests wakes up meanwhile. Cheap, as often as one likes."""
        ...

    @property
    def services(self) -> Services:
        """What runs beside the commands."""
        ...

    async def terminal(self, command: Command, *, rows: int, columns: int, output: Output) -> Terminal:
        """Start *command* on a terminal of its own; its seconds do not count. *output* gets all that it writes.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        ...

    async def talk(self, command: Command, *, output: Output) -> Dialogue:
        """Start *command* to be talked with; its seconds do not count. *output* gets all that it writes, unchanged.

        Its standard error goes the same way as its standard output, unless the command sends it elsewhere.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        ...

    async def read(self, path: str, *, limit: int) -> bytes:
        """The first *limit* bytes of the regular file *path*.

        Raises:
            ToolError: If it is missing, not a regular file or not readable; the message says which.
        """
        ...

    async def export(self, path: str, target: Path, *, most: int) -> int:
        """Copy the regular file *path*, of at most *most* bytes, to the new file *target* of the host; its size.

        Raises:
            ToolError: If it is no such file, is larger, or changes meanwhile; then there is no *target*.
            OSError: If *target* cannot be written.
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

    async def guarantees(self) -> tuple[Guarantee, ...]:
        """What they hold here; nothing is started to find out but what was found once.

        Raises:
            SandboxError: If what makes them cannot be asked.
        """
        ...

    async def open(self, place: Place) -> Workspace:
        """Build a sandbox from *place* and wait until it and its services answer.

        A service that does not is no failure: its state says so.

        Raises:
            SandboxError: If the host cannot give one (the hint says which knob), or a snapshot is damaged.
        """
        ...

    async def fork(self, *, source: Path, snapshot: str, directory: Path) -> str:
        """Make the new folder *directory* able to open at the id that this gives: *snapshot* of the sandbox in *source*.

        To be opened on the layers that *source* was. *source* may be live meanwhile.

        Raises:
            SandboxError: If something of the snapshot is missing or damaged, or the disk is full.
        """
        ...

    async def destroy(self, directory: Path) -> None:
        """Delete everything of the closed sandbox in *directory*, and layers that it alone held. Safe to repeat.

        Raises:
            SandboxError: If it is open.
        """
        ...

    def ahead(self) -> None:
        """From now on, what makes them may have the next one ready, like the one that was opened last, until `close`."""
        ...

    async def close(self) -> None:
        """End what is ready for the next sandbox; those that are open stay."""
        ...
