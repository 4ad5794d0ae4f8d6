"""Some who watch, in one process, each over a connection of its own, as a browser does: it comes again when it is cut off.

    python -m bench.server.viewers PORT FOLDER < JSON

JSON is a list of `Wanted` as dicts. It says "watching" when all of them are answered. Each ends when it has heard of the
end of every run that it watches, and leaves a file in FOLDER: what it heard, and when.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
import time
from array import array
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Heard", "Wanted", "heard"]

FRAME = re.compile(rb'id: (\d+)\nevent: (\w+)\ndata: \{"seq": \d+, "at": ([\d.]+)')
AGAIN = 1.0
"""Seconds until it comes again: what the server says in `retry`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One who watches.

    Attributes:
        run: Only this run; "" for all.
        ends: The ends of runs after which it has seen everything.
        deaf: Seconds in which it takes nothing of what was sent, once it was answered.
    """

    name: str
    token: str
    after: int
    run: str = ""
    ends: int = 1
    deaf: float = 0.0


@dataclass
class Heard:
    """What one heard: numbers of the ledger, when they were told and when they were here (Unix seconds)."""

    ids: array[int] = field(default_factory=lambda: array("q"))
    at: array[float] = field(default_factory=lambda: array("d"))
    here: array[float] = field(default_factory=lambda: array("d"))
    came: int = 0
    let_go: int = 0
    """How often it was told to come again, or cut off."""


def heard(folder: Path, name: str) -> Heard:
    """What the viewer *name* left."""
    facts = json.loads((folder / f"{name}.json").read_text())
    found = Heard(came=facts["came"], let_go=facts["let_go"])
    with (folder / f"{name}.bin").open("rb") as file:
        for column in (found.ids, found.at, found.here):
            column.fromfile(file, facts["count"])
    return found


class Viewer:
    """One of them."""

    def __init__(self, wanted: Wanted, port: int) -> None:
        self.wanted, self.port = wanted, port
        self.heard = Heard()
        self.answered = asyncio.Event()
        self.ends = 0

    async def watch(self) -> None:
        """Until everything was heard."""
        while self.ends < self.wanted.ends:
            if self.heard.came:
                await asyncio.sleep(AGAIN)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._once()

    async def _once(self) -> None:
        line = socket.socket()
        if self.wanted.deaf and not self.heard.came:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=line)
        try:
            writer.write(self._request())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(head.decode("latin-1"))
            first, self.heard.came = not self.heard.came, self.heard.came + 1
            self.answered.set()
            if first and self.wanted.deaf:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(self.wanted.deaf)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                writer.transport.resume_reading()  # type: ignore[attr-defined]
            await self._read(reader)
            self.heard.let_go += 1
        finally:
            writer.close()

    def _request(self) -> bytes:
        last = self.heard.ids[-1] if self.heard.ids else self.wanted.after
        lines = (
            f"GET /api/v1/events?run={self.wanted.run} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Authorization: Bearer {self.wanted.token}",
            f"Last-Event-ID: {last}",
            "Accept: text/event-stream",
        )
        return "\r\n".join([*lines, "", ""]).encode()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        rest = b""
        while size := int(await reader.readline() or b"0", 16):
            whole, end, rest = (rest + (await reader.readexactly(size + 2))[:-2]).rpartition(b"\n\n")
            self._take(whole + end)
            if self.ends >= self.wanted.ends:
                return

    def _take(self, frames: bytes) -> None:
        now, kept = time.time(), self.heard
        for frame in frames.split(b"\n\n"):
            if (found := FRAME.match(frame)) is None:
                continue
            number, name, at = found.groups()
            kept.ids.append(int(number))
            kept.at.append(float(at))
            kept.here.append(now)
            self.ends += name == b"run_done"

    def leave(self, folder: Path) -> None:
        """Write down what was heard."""
        kept, name = self.heard, self.wanted.name
        with (folder / f"{name}.bin").open("wb") as file:
            for column in (kept.ids, kept.at, kept.here):
                column.tofile(file)
        facts = {"count": len(kept.ids), "came": kept.came, "let_go": kept.let_go, "wanted": asdict(self.wanted)}
        (folder / f"{name}.json").write_text(json.dumps(facts))


async def _watch(port: int, folder: Path, wanted: list[Wanted]) -> None:
    viewers = [Viewer(each, port) for each in wanted]
    async with asyncio.TaskGroup() as group:
        for viewer in viewers:
            group.create_task(viewer.watch())
        for viewer in viewers:
            await viewer.answered.wait()
        print("watching", flush=True)
    for viewer in viewers:
        viewer.leave(folder)


def main() -> None:
    asyncio.run(_watch(int(sys.argv[1]), Path(sys.argv[2]), [Wanted(**each) for each in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
