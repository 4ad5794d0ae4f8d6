"""The way to the proxy where a sandbox has no network and no socket of this machine: over the runner's frames."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Limits
from nightmill.sandbox.network.ferry import WINDOW, Ferry, dial
from nightmill.sandbox.network.reach import Network
from tests.sandbox.box import Box, Within
from tests.sandbox.pods import pods
from tests.sandbox.test_egress import FETCH
from tests.sandbox.web import web

RAW = """
import hashlib, socket, sys, time
def ask(path, body=b""):
    way = socket.create_connection(("127.0.0.1", 3128), 60)
    head = "POST http://localhost:%s%s HTTP/1.1\\r\\nContent-Length: %d\\r\\n\\r\\n" % (sys.argv[1], path, len(body))
    way.sendall(head.encode() + body)
    return way
def rest(way):
    found = bytearray()
    while piece := way.recv(1 << 16):
        found += piece
    way.close()
    return bytes(found).partition(b"\\r\\n\\r\\n")[2]
"""


def opened(port: int) -> Network:
    """A network in which a server on loopback may be reached."""
    return Network(private=frozenset({"localhost"}), ports=frozenset({port}))


def fetching(*urls: str) -> Command:
    """Fetch *urls* through the proxy, also those on loopback."""
    env = {"no_proxy": "", "NO_PROXY": ""}
    return Command(argv=("/usr/bin/python3", "-c", FETCH, *urls), cwd="/work", env=env, limits=Limits(seconds=120))


@contextlib.asynccontextmanager
async def serving(serve: Any) -> AsyncIterator[int]:
    """A server on loopback that does *serve* with each connection whose head it has read; gives its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            await serve(head, reader, writer)
            await writer.drain()
        writer.transport.abort() if writer.is_closing() else writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def forgotten(ways: dict[int, Any]) -> None:
    """Wait until every way has ended; who waits for the whole test is the clock of tests."""
    while ways:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


async def heard(box: Box) -> None:
    """Wait until the command says that it was answered."""
    while not (await box.sh("cat repo/asked 2>/dev/null")).output:
        pass


def test_a_pod_without_any_network_reaches_allowed_hosts_and_no_others(within: Within) -> None:
    async def scenario(box: Box) -> None:
        async with web([], answer=b"x" * 300_000) as port:
            box.sandbox.egress.network = opened(port)  # type: ignore[union-attr]
            found = await box.sandbox.run(
                fetching(f"http://localhost:{port}/", "http://denied.example/", "https://denied.example/")
            )
        lines = found.text.splitlines()
        assert lines[0] == "x" * 300_000
        assert lines[1].startswith("403 denied.example:80")
        assert "403" in lines[2]
        assert (await box.sh("tail -n +3 /proc/net/dev | cut -d: -f1")).text.split() == ["lo"]
        assert (await box.sh("ls /run/nightmill")).text == "authorities.pem\n"
        direct = await box.python("import socket; socket.create_connection(('192.0.2.1', 80), 3)")
        assert "unreachable" in direct.text

    within(scenario, hosts=("localhost",), sandboxes=pods())


def test_many_ways_at_once_and_more_than_there_is_place_for(within: Within) -> None:
    async def scenario(box: Box) -> None:
        async with web([]) as port:
            box.sandbox.egress.network = opened(port)  # type: ignore[union-attr]
            held = box.sandbox.run(
                Command(argv=("/usr/bin/python3", "-c", HOLDING, str(port)), cwd="/work", limits=Limits(seconds=120))
            )
            urls = [f"http://localhost:{port}/{number}" for number in range(4)]
            found = await asyncio.gather(held, *(box.sandbox.run(fetching(*urls)) for _ in range(6)))
        assert [each.text for each in found] == ["100\n"] + ["hello\n" * 4] * 6
        await forgotten(box.sandbox.ferry.ways)  # type: ignore[union-attr]

    within(scenario, hosts=("localhost",), sandboxes=pods())


HOLDING = (
    RAW
    + """
idle = [socket.create_connection(("127.0.0.1", 3128), 60) for _ in range(100)]
for each in idle:
    each.sendall(("GET http://localhost:%s/ HTTP/1.1\\r\\n\\r\\n" % sys.argv[1]).encode())
print(sum(rest(each) == b"hello" for each in idle))
"""
)


def test_who_does_not_read_holds_up_nobody_but_itself(within: Within) -> None:
    size, sent = 24 << 20, 0

    async def serve(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        if b" /small " in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _number in range(size >> 16):
            writer.write(bytes(range(256)) * 256)
            await writer.drain()
            sent += 1 << 16

    async def scenario(box: Box) -> None:
        async with serving(serve) as port:
            box.sandbox.egress.network = opened(port)  # type: ignore[union-attr]
            command = Command(
                argv=("/usr/bin/python3", "-c", SLEEPING, str(port)), cwd="/work", limits=Limits(seconds=120)
            )
            sleeper = asyncio.create_task(box.sandbox.run(command))
            await heard(box)
            small = await box.sandbox.run(fetching(f"http://localhost:{port}/small"))
            assert small.text == "ok\n"
            assert sent < size  # the server itself is held up
            assert all(way.credit >= 0 for way in box.sandbox.ferry.ways.values())  # type: ignore[union-attr]
            await box.sh("touch repo/wake")
            found = await sleeper
        assert (found.text, found.stopped) == (f"{size} True\n", "")

    within(scenario, hosts=("localhost",), sandboxes=pods())


SLEEPING = (
    RAW
    + """
import os
way = ask("/large")
way.recv(1)
open("repo/asked", "w").write("yes")
while not os.path.exists("repo/wake"):
    time.sleep(0.01)
body = rest(way)
print(len(body), body == bytes(range(256)) * (len(body) // 256))
"""
)


def test_what_goes_up_arrives_whole_while_as_much_comes_down(within: Within) -> None:
    async def echo(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = int(head.split(b"ontent-Length: ")[1].split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
        while left:
            piece = await reader.read(1 << 16)
            left -= len(piece)
            writer.write(piece)
            await writer.drain()

    async def scenario(box: Box) -> None:
        async with serving(echo) as port:
            box.sandbox.egress.network = opened(port)  # type: ignore[union-attr]
            assert (await box.python(ECHOED, str(port), seconds=120)).text == "True\n"

    within(scenario, hosts=("localhost",), sandboxes=pods())


ECHOED = (
    RAW
    + """
import os, threading
body, way = os.urandom(9 << 20), socket.create_connection(("127.0.0.1", 3128), 60)
head = "POST http://localhost:%s/ HTTP/1.1\\r\\nContent-Length: %d\\r\\n\\r\\n" % (sys.argv[1], len(body))
threading.Thread(target=way.sendall, args=(head.encode() + body,)).start()
print(rest(way) == body)
"""
)


def test_a_refusal_is_read_though_the_asker_still_sends(within: Within) -> None:
    async def scenario(box: Box) -> None:
        found = await box.python(REFUSED, "80", seconds=60)
        assert found.text.startswith("b'HTTP/1.1 403"), found.text

    within(scenario, hosts=("allowed.invalid",), sandboxes=pods())


REFUSED = (
    RAW
    + """
way = socket.create_connection(("127.0.0.1", 3128), 60)
try:
    way.sendall(b"POST http://denied.example/ HTTP/1.1\\r\\nContent-Length: 4000000\\r\\n\\r\\n")
    way.sendall(bytes(4000000))
except OSError:
    pass
print(way.recv(100))
"""
)


def test_who_hangs_up_is_forgotten_here_and_who_is_no_longer_allowed_is_cut_there(within: Within) -> None:
    async def serve(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n!")
        await reader.read()

    async def scenario(box: Box) -> None:
        async with serving(serve) as port:
            box.sandbox.egress.network = opened(port)  # type: ignore[union-attr]
            ways = box.sandbox.ferry.ways  # type: ignore[union-attr]
            await box.python(RESET, str(port))
            await forgotten(ways)
            command = Command(
                argv=("/usr/bin/python3", "-c", WAITING, str(port)), cwd="/work", limits=Limits(seconds=120)
            )
            waiting = asyncio.create_task(box.sandbox.run(command))
            await heard(box)
            await box.sandbox.reach(())
            assert (await waiting).text == "b''\n"
            await forgotten(ways)

    within(scenario, hosts=("localhost",), sandboxes=pods())


RESET = (
    RAW
    + """
import struct
way = ask("/")
way.recv(1)
way.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
way.close()
"""
)
WAITING = (
    RAW
    + """
way = ask("/")
while b"!" not in way.recv(1000):
    pass
open("repo/asked", "w").write("yes")
print(way.recv(1000))
"""
)


def test_after_a_roll_back_the_new_pod_has_the_way_too(within: Within) -> None:
    async def scenario(box: Box) -> None:
        async with web([]) as port:
            box.sandbox.egress.network = opened(port)  # type: ignore[union-attr]
            await box.sandbox.roll_back("")
            assert (await box.sandbox.run(fetching(f"http://localhost:{port}/"))).text == "hello\n"

    within(scenario, hosts=("localhost",), sandboxes=pods())


# What comes from inside is hostile


class Told:
    """Frames that the host would send."""

    def __init__(self) -> None:
        self.frames: list[tuple[dict[str, Any], bytes]] = []

    def tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        self.frames.append((header, body))

    async def drained(self) -> None:
        return


@contextlib.asynccontextmanager
async def ferry(path: Path) -> AsyncIterator[tuple[Ferry, Told]]:
    """The host's end, before something that takes connections and never reads nor says a word."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_unix_server(lambda _, writer: held.append(writer), path, limit=1)
    told = Told()
    made = Ferry(told, lambda: dial(path))
    try:
        yield made, told
    finally:
        await made.close()
        assert not made.ways
        for each in held:
            each.transport.abort()
        server.close()


@pytest.mark.parametrize(
    "frames",
    [
        [({"way": 1}, b"x")],
        [({"way": 1, "open": 1}, b""), ({"way": 1, "open": 1}, b"")],
        [({"way": 2, "open": 1}, b""), ({"way": 1, "open": 1}, b"")],
        [({"way": 1, "open": 1, "took": 1}, b"")],
        [({"way": 1, "open": 1, "took": -1}, b"")],
        [({"way": 1, "open": 1}, bytes(1 << 17))],
        [({"way": 1, "open": 1}, b"")] + [({"way": 1}, bytes(1 << 16))] * ((WINDOW >> 16) + 1),
        [({"way": 1, "open": 1, "last": 1}, b""), ({"way": 1}, b"x")],
        [({"way": True, "open": 1}, b"")],
        [({"way": "1", "open": 1}, b"")],
        [({"way": None}, b"")],
        [({"way": -1, "open": 1}, b"")],
        [({"way": 1.0, "open": 1}, b"")],
        [({"way": 1, "open": 1, "op": "run"}, b"")],
    ],
)
def test_what_no_runner_of_ours_would_say_is_refused(tmp_path: Path, frames: list[tuple[Any, bytes]]) -> None:
    async def whole() -> None:
        async with ferry(tmp_path / "socket") as (made, _):
            for header, body in frames[:-1]:
                made.take(header, body)
            with pytest.raises(SandboxError):
                made.take(*frames[-1])

    asyncio.run(whole())


def test_a_flood_of_ways_is_turned_away(tmp_path: Path) -> None:
    async def whole() -> None:
        async with ferry(tmp_path / "socket") as (made, told):
            for number in range(1, 1001):
                made.take({"way": number, "open": 1}, b"")
            assert len(made.ways) < 200
            assert len(told.frames) == 1000 - len(made.ways)
            assert {"gone", "last"} <= set(told.frames[-1][0])

    asyncio.run(whole())


def test_a_sandbox_that_sends_nonsense_about_ways_is_ended(within: Within) -> None:
    async def scenario(box: Box) -> None:
        waiting = asyncio.create_task(box.sh("sleep 60"))
        await box.sh("true")
        box.sandbox.channel.ways({"way": 9, "open": 1}, b"")  # type: ignore[union-attr, misc]
        box.sandbox.channel.tell({"op": "way", "id": 7, "way": []})  # type: ignore[union-attr]
        with pytest.raises(SandboxError):
            await waiting

    within(scenario, hosts=("localhost",), sandboxes=pods())
