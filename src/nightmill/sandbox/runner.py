"""What a host asks of the runner inside: commands, files, stillness. The same for every backend that carries the frames."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from nightmill.errors import SandboxError, ToolError
from nightmill.sandbox.cgroup import Groups, Tree
from nightmill.sandbox.channel import Answer, Channel
from nightmill.sandbox.nouns import Command, Entry, Limits, Outcome, Output, Service
from nightmill.sandbox.quota import Disk
from nightmill.sandbox.watch import Running, Watch

__all__ = ["GRACE", "Runner", "RunnerTerminal", "outcome", "refuse"]

GRACE, CANCELLING = 60.0, 10.0
"""Seconds on the host's own clock: for an answer beyond its command's time, and for a kill."""

FILE_MOST = 64 << 20
PIECE = 8 << 20
LIST_MOST = 16 << 20
LOG_MOST = 256 << 10
"""Bytes of a service's newest output that are kept."""

PASTED = 1 << 16
"""Bytes that are typed in one frame."""

YEAR = 366 * 86400.0

STOPS = ("", "timeout", "memory", "output", "cancelled", "processes", "disk")
"""Not a set: what a runner says may be something that cannot be looked up in one."""


class Runner:
    """The runner of one sandbox, by its channel. *kill* ends the sandbox: one that no longer answers is not waited for."""

    def __init__(
        self,
        channel: Channel,
        *,
        environment: Mapping[str, str],
        kill: Callable[[], None],
        groups: Groups | None = None,
        disk: Disk | None = None,
        elsewhere: int = 0,
    ) -> None:
        """With *groups* the kernel bounds memory and processes of each command; else each process is bounded.

        *disk* says when all that runs has written too much. The user of this sandbox may have *elsewhere* processes that
        the kernel counts with those here: a command's own are then counted by the runner alone.
        """
        self.channel, self.environment, self.kill, self.groups = channel, environment, kill, groups
        self.elsewhere = elsewhere
        self.gate = asyncio.Lock()
        self.watch = Watch(self.end, disk)

    async def run(self, command: Command, *, output: Output | None = None) -> Outcome:
        """Run *command* and wait for it; cancelling the task kills it. Several may run at once.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        number, answer = await self._begin(command, most=command.limits.output, live=output)
        try:
            return outcome(await self.within(command.limits.seconds + GRACE, answer))
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                self.end(number, "cancelled")
            await asyncio.wait([answer], timeout=CANCELLING)
            raise

    async def terminal(self, command: Command, *, rows: int, columns: int, output: Output) -> RunnerTerminal:
        """Start *command* on a terminal of its own; its seconds do not count."""
        whole = replace(command, patient=True)
        number, answer = await self._begin(whole, most=0, live=output, op="terminal", rows=rows, columns=columns)
        return RunnerTerminal(self.channel, number, answer)

    async def talk(self, command: Command, *, output: Output) -> RunnerDialogue:
        """Start *command* to be talked with; its seconds do not count."""
        number, answer = await self._begin(replace(command, patient=True), most=0, live=output, op="talk")
        return RunnerDialogue(self.channel, number, answer)

    async def serve(self, service: Service) -> tuple[int, asyncio.Future[Answer]]:
        """Start *service*; its number, and the answer that tells its end."""
        limits = Limits(memory=service.memory, processes=service.processes, output=LOG_MOST)
        command = Command(argv=("bash", "-c", service.run), cwd=service.cwd, env=service.env, limits=limits)
        return await self._begin(command, most=LOG_MOST, op="serve", log=service.log)

    def end(self, number: int, why: str) -> None:
        """Have the command or service *number* killed, whole."""
        self.channel.tell({"op": "cancel", "id": number, "why": why})

    def halt(self, number: int, *, signal: int, grace: float) -> None:
        """Ask the service *number* to end by *signal*; *grace* seconds later it is killed."""
        self.channel.tell({"op": "halt", "id": number, "signal": signal, "grace": grace})

    async def log(self, number: int) -> bytes:
        """The newest output of the service *number* while it runs."""
        asked = self.channel.send({"op": "log", "of": number}, most=LOG_MOST)
        return (await self.within(GRACE, asked[1])).body

    async def read(self, path: str, *, limit: int) -> bytes:
        """The first *limit* bytes of the regular file *path*.

        Raises:
            ToolError: If it is missing, not a regular file or not readable; the message says which.
        """
        limit = min(limit, FILE_MOST)
        async with self.gate:
            asked = self._ask({"op": "read", "path": path, "limit": limit}, most=limit)
        return (await asked).body

    async def export(self, path: str, target: Path, *, most: int) -> int:
        """Copy the regular file *path*, of at most *most* bytes, to the new file *target* of the host; its size.

        Raises:
            ToolError: If it is no such file, is larger, or changes meanwhile; then there is no *target*.
            OSError: If *target* cannot be written.
        """
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            try:
                return await self._export(path, out, most)
            except BaseException:
                os.unlink(target)
                raise

    async def _export(self, path: str, out: BinaryIO, most: int) -> int:
        state: object = None
        while True:
            at = out.tell()
            asked = {"op": "read", "path": path, "limit": PIECE, "offset": at}
            async with self.gate:
                answering = self._ask(asked, most=PIECE)
            answer = await answering
            size, state = answer.number("size"), state or answer.header.get("state")
            if size > most:
                raise ToolError(f"cannot take out {path!r}: {size:,} bytes are more than {most:,}")
            if answer.header.get("state") != state or len(answer.body) != min(PIECE, max(0, size - at)):
                raise ToolError(f"cannot take out {path!r}: it changes meanwhile")
            await asyncio.to_thread(out.write, answer.body)
            if out.tell() == size:
                return size

    async def write(self, path: str, body: bytes) -> None:
        """Make *path* a regular file that holds *body*: written beside it and renamed, its mode kept.

        Raises:
            ToolError: If it cannot be written; the message says why.
            SandboxError: If the disk behind /work is full.
        """
        if await self.watch.full():
            raise ToolError(
                f"cannot write {path!r}: this sandbox has used up its disk (`limits.disk`); delete something"
            )
        if len(body) > FILE_MOST:
            raise ToolError(f"cannot write {path!r}: {len(body):,} bytes are more than {FILE_MOST:,}")
        async with self.gate:
            await self._ask({"op": "write", "path": path}, body)

    async def list(self, path: str, *, depth: int, limit: int) -> list[Entry]:
        """Entries below *path*, sorted, at most *limit*; `.git` is not entered.

        Raises:
            ToolError: If *path* is not a directory.
        """
        asked = {"op": "list", "path": path, "depth": depth, "limit": limit}
        async with self.gate:
            answer = self._ask(asked, most=LIST_MOST)
        found = (await answer).body
        return sorted((_entry(record) for record in found.split(b"\0") if record), key=lambda entry: entry.path)

    def move(self, to: Runner) -> None:
        """Ask what *to* asks from now on: the sandbox was started again. Only while all is held back."""
        self.channel, self.kill, self.groups = to.channel, to.kill, to.groups

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Hold back what is asked from now on; all that was asked before has begun."""
        async with self.gate:
            answer = self.channel.send({"op": "still"})[1]  # at once: whoever asks goes on with other work meanwhile
            await asyncio.wait_for(answer, GRACE)
            yield
            self.channel.tell({"op": "ahead", "id": 0})  # now nobody waits

    async def within(self, seconds: float, answer: asyncio.Future[Answer]) -> Answer:
        """What is answered within *seconds* of the host's own clock; a sandbox that is later than that is ended.

        Raises:
            SandboxError: If it was.
        """
        try:
            async with asyncio.timeout(seconds):  # wait_for() can swallow that whoever asked gives up
                return await asyncio.shield(answer)
        except TimeoutError as error:
            self.kill()
            raise SandboxError("the sandbox no longer answers; it was ended") from error

    async def _begin(
        self, command: Command, *, most: int, live: Output | None = None, **more: Any
    ) -> tuple[int, asyncio.Future[Answer]]:
        """Start *command*; its number, and the answer that tells its end."""
        request = _request(command, self.environment, self.groups)
        user = request["processes"] + self.elsewhere
        header = request | {"user": user, "live": live is not None} | more
        async with self.gate:  # nothing new starts while all is held still
            number, answer = self.channel.send(header, command.stdin, most=most, live=live)
            group = self.groups.admit(number, command.limits) if self.groups else None
        running = Running(number=number, limits=command.limits, group=group, lasting=header["op"] == "serve")
        return number, self.watch.add(running, answer, self.groups)

    def _ask(self, asked: dict[str, Any], body: bytes = b"", *, most: int = 0) -> Coroutine[Any, Any, Answer]:
        """Send what is *asked* of a file now; to be awaited for its answer."""
        path = asked["path"]
        if not path.startswith("/") or "\0" in path:
            raise ToolError(f"cannot {asked['op']} {path!r}: give an absolute path")
        return self._answered(asked, self.channel.send(asked, body, most=most)[1])

    async def _answered(self, asked: dict[str, Any], sent: asyncio.Future[Answer]) -> Answer:
        answer = await self.within(GRACE, sent)
        if "error" in answer.header:
            refuse(asked, answer.header)
        return answer


class RunnerDialogue:
    """A command that reads what is said to it, by the number under which the runner knows it."""

    def __init__(self, channel: Channel, number: int, answer: asyncio.Future[Answer]) -> None:
        self.channel, self.number, self.answer = channel, number, answer

    def type(self, body: bytes) -> None:
        """Say *body*; a program that does not read lets what is too much be lost."""
        for at in range(0, len(body), PASTED):
            self.channel.tell({"op": "type", "id": self.number}, body[at : at + PASTED])

    def end(self) -> None:
        """End the command now, with all that it started."""
        self.channel.tell({"op": "cancel", "id": self.number, "why": "cancelled"})

    async def ended(self) -> Outcome:
        """Wait for the command, however long it takes.

        Raises:
            SandboxError: If the sandbox itself failed.
        """
        return outcome(await asyncio.shield(self.answer))


class RunnerTerminal(RunnerDialogue):
    """A command on a terminal inside."""

    def resize(self, *, rows: int, columns: int) -> None:
        """Give it another size."""
        self.channel.tell({"op": "resize", "id": self.number, "rows": rows, "columns": columns})


def outcome(answer: Answer) -> Outcome:
    """What a command's answer says; SandboxError if it says nothing that can be."""
    header = answer.header
    if "error" in header:
        raise SandboxError(f"the sandbox cannot start a command: {_said(header)}")
    seconds, stopped = header.get("seconds"), header.get("stopped")
    if not isinstance(seconds, int | float) or not 0 <= seconds < YEAR:  # NaN is not, either
        raise SandboxError(f"the sandbox answered with seconds = {repr(seconds)[:100]}")
    if stopped not in STOPS:
        raise SandboxError(f"the sandbox answered with stopped = {repr(stopped)[:100]}")
    numbers = {name: answer.number(name) for name in ("exit", "dropped", "cut")}
    return Outcome(output=answer.body, seconds=float(seconds), stopped=stopped, **numbers)


def _request(command: Command, base: Mapping[str, str], groups: Groups | None) -> dict[str, Any]:
    limits = command.limits
    if not command.argv:
        raise SandboxError("a command without a program was asked for")
    tree = groups.tree if groups else Tree()
    return {
        "op": "run",
        "held": groups is not None,
        "rlimits": ["FSIZE"] + ["NPROC"] * (tree.pids is None) + ["DATA"] * (tree.memory is None),
        "argv": list(command.argv),
        "cwd": command.cwd,
        "env": {**base, **command.env},
        "seconds": limits.seconds,
        "processes": limits.processes,
        "file_size": limits.file_size,
        "memory": limits.memory,
        "output": limits.output,
        "whole": command.patient,
    }


def refuse(asked: dict[str, Any], answer: dict[str, Any]) -> NoReturn:
    """Raise what *answer* means: a full disk behind /work is the host's trouble, all else the asker's."""
    path = asked["path"]
    if str(answer["error"]) in {"ENOSPC", "EDQUOT"} and path.startswith("/work"):
        hint = "free space on the disk that holds nightmill's home"
        raise SandboxError(f"no disk space to write {path!r}", hint=hint)
    raise ToolError(f"cannot {asked['op']} {path!r}: {_said(answer)}")


def _said(header: dict[str, Any]) -> str:
    """The words of a refusal: for a model, a ledger and a terminal, so nothing that moves a cursor or is no text."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(header.get("text"))[:200])


def _entry(record: bytes) -> Entry:
    kind, _, rest = record.partition(b" ")
    size, _, path = rest.partition(b" ")
    match kind.decode("ascii", "replace"):
        case ("file" | "directory" | "link" | "other") as known if size.isdigit():
            return Entry(path=path.decode("utf-8", "replace"), kind=known, size=int(size))
    raise SandboxError("the sandbox sent a list that cannot be read")
