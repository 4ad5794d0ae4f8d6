"""Names of places inside where nothing can be mounted: /work is a folder somewhere, and words that name it are rewritten."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nightmill.sandbox.backends.cargo import entries
from nightmill.sandbox.channel import Answer, Channel
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.nouns import Command, Entry, Outcome, Output
from nightmill.sandbox.runner import Runner

__all__ = ["Names", "NamesRunner", "settle"]

GOES_ON = r"(?![\w.-])"
MARK = ".nightmill-place"
"""File of /work that says where it is, for whoever makes it again elsewhere."""

TEXT_MOST = 4 << 20


class Names:
    """What is called how inside, and where on this host it is."""

    def __init__(self, real: Mapping[str, Path]) -> None:
        self.real = {name: str(real[name]) for name in sorted(real, key=len, reverse=True)}
        known = sorted({*self.real, *self.real.values()}, key=len, reverse=True)  # what is real already stays so
        self.named = re.compile(r"(?<![\w./~*)}\]-])(?:" + "|".join(map(re.escape, known)) + ")" + GOES_ON)
        places = {os.fsencode(path): os.fsencode(name) for name, path in self.real.items()}
        longest = sorted(places, key=len, reverse=True)
        self.places, self.placed = (
            places,
            re.compile(b"(?:" + b"|".join(map(re.escape, longest)) + b")" + GOES_ON.encode()),
        )

    def path(self, path: str) -> str:
        """Where *path*, a whole path, is."""
        for name, real in self.real.items():
            if path == name or path.startswith(f"{name}/"):
                return real + path[len(name) :]
        return path

    def words(self, text: str) -> str:
        """*text* with each name that stands in it by its place: in shell text, an argument, a variable."""
        return self.named.sub(lambda found: self.real.get(found[0], found[0]), text)

    def command(self, command: Command) -> Command:
        """*command* as it is run here; what it is given to read stays as it is."""
        argv = tuple(self.words(word) for word in command.argv)
        env = {name: self.words(value) for name, value in command.env.items()}
        return replace(command, argv=argv, cwd=self.path(command.cwd), env=env)

    def told(self, body: bytes) -> bytes:
        """*body* with each place by its name."""
        return self.placed.sub(lambda found: self.places[found[0]], body)


class NamesRunner(Runner):
    """The runner of a sandbox whose places have other names here. What it tells while a command runs is told as it is."""

    def __init__(
        self, channel: Channel, names: Names, *, environment: Mapping[str, str], kill: Callable[[], None]
    ) -> None:
        super().__init__(channel, environment=environment, kill=kill)
        self.names = names

    async def run(self, command: Command, *, output: Output | None = None) -> Outcome:
        """Run *command* and wait for it; cancelling the task kills it."""
        found = await super().run(command, output=output)
        head, tail = self.names.told(found.output[: found.cut]), self.names.told(found.output[found.cut :])
        return replace(found, output=head + tail, cut=len(head))

    async def list(self, path: str, *, depth: int, limit: int) -> list[Entry]:
        """Entries below *path*, sorted, at most *limit*."""
        found = await super().list(path, depth=depth, limit=limit)
        return [replace(each, path=self._called(each.path)) for each in found]

    async def _begin(
        self, command: Command, *, most: int, live: Output | None = None, **more: Any
    ) -> tuple[int, asyncio.Future[Answer]]:
        if "log" in more:
            more["log"] = self.names.path(more["log"])
        # Others are not kept by macOS, or count what the user has besides.
        return await super()._begin(self.names.command(command), most=most, live=live, rlimits=["FSIZE"], **more)

    def _ask(self, asked: dict[str, Any], body: bytes = b"", *, most: int = 0) -> Coroutine[Any, Any, Answer]:
        return super()._ask(asked | {"path": self.names.path(asked["path"])}, body, most=most)

    async def _answered(self, asked: dict[str, Any], sent: asyncio.Future[Answer]) -> Answer:
        return await super()._answered(asked | {"path": self._called(asked["path"])}, sent)

    def _called(self, path: str) -> str:
        return os.fsdecode(self.names.told(os.fsencode(path)))


def settle(top: Path) -> None:
    """Have what was installed in *top* while it was elsewhere work here: links and text files that say where it was.

    Environments of Python do, in the first lines of their programs. Nothing may run in *top*, and no link is followed.
    """
    mark, now, times = top / MARK, os.fsencode(top), top.stat()
    was = mark.read_bytes() if mark.is_file() and not mark.is_symlink() and mark.stat().st_size < 1 << 12 else b""
    if was.startswith(b"/") and was != now:
        said = re.compile(re.escape(was) + GOES_ON.encode())
        for _, path in entries(top):
            _rewrite(path, said, now)
    remove(mark)
    mark.write_bytes(now)
    os.utime(top, ns=(times.st_atime_ns, times.st_mtime_ns))


def _rewrite(path: Path, said: re.Pattern[bytes], now: bytes) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(path.readlink())
        if said.match(target):
            path.unlink()
            path.symlink_to(os.fsdecode(said.sub(lambda _: now, target, count=1)))
    elif stat.S_ISREG(status.st_mode) and status.st_size <= TEXT_MOST:
        body = path.read_bytes()
        if b"\0" not in body and said.search(body):
            path.unlink()
            path.write_bytes(said.sub(lambda _: now, body))
            path.chmod(stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
