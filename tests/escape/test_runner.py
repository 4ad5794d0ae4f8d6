"""The runner's own protocol, spoken by a runner that an agent has taken over, over a real socket."""

from __future__ import annotations

import array
import asyncio
import gc
import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightmill.errors import NightmillError, SandboxError, ToolError
from nightmill.sandbox import Command
from nightmill.sandbox.channel import Channel
from nightmill.sandbox.runner import Runner

pytestmark = pytest.mark.wall("channel")

READY = b'{"ready":1}'


def frame(header: bytes, body: bytes = b"") -> bytes:
    """As a runner sends it."""
    return struct.pack(">II", len(header), len(body)) + header + body


def opened() -> int:
    """Descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Far:
    """The runner's end: what it says, when, and with which descriptors."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(20)

    def asked(self) -> None:
        """Wait for one request."""
        assert self.sock.recv(1 << 20)

    def say(self, *pieces: bytes) -> None:
        """Say it, as far as somebody listens."""
        try:
            self.sock.sendall(b"".join(pieces))
        except OSError:
            return

    def pass_on(self, body: bytes, *fds: int) -> None:
        """Say it, with descriptors."""
        self.sock.sendmsg([body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def met(story: Callable[[Far], None], use: Callable[[Runner], Any]) -> tuple[Any, list[str]]:
    """What *use* of a runner that plays *story* gives or raises, and why the sandbox was ended."""
    broken: list[str] = []

    async def whole() -> Any:
        mine, theirs = socket.socketpair()
        channel = Channel(mine, broken=broken.append)
        await channel.start()
        playing = threading.Thread(target=story, args=(Far(theirs),))
        playing.start()
        try:
            return await asyncio.wait_for(
                use(Runner(channel, environment={}, kill=lambda: broken.append("killed"))), 30
            )
        except NightmillError as error:
            return error
        finally:
            await channel.close()
            await asyncio.to_thread(playing.join)
            theirs.close()

    found = asyncio.run(whole())
    return found, [why for why in broken if why != "the sandbox is closed"]


def command(runner: Runner) -> Any:
    return runner.run(Command(argv=("true",)))


RIGHT = b'"exit":0,"seconds":0.1,"stopped":"","cut":0,"dropped":0'


def test_descriptors_that_a_runner_passes_reach_nobody_and_are_closed() -> None:
    """A descriptor of a folder would be a way in, one more in the table of the host a leak."""
    gc.collect()  # what earlier tests still hold goes now
    source, sink = os.pipe()
    before = opened()

    def story(far: Far) -> None:
        far.asked()
        folder = os.open("/", os.O_RDONLY)
        far.pass_on(frame(READY), *[folder] * 100, sink)
        os.close(sink)
        os.close(folder)
        for piece in range(20):
            far.pass_on(frame(b'{"id":1,"live":1}', b"%d" % piece), source)
        far.say(frame(b'{"id":1,' + RIGHT + b"}"))

    outcome, broken = met(story, command)

    assert outcome.exit == 0
    assert broken == []
    gc.collect()
    assert select.select([source], [], [], 20)[0], "the last writer is gone"
    assert os.read(source, 1) == b""
    os.close(source)
    assert opened() == before - 2


@pytest.mark.parametrize(
    "header",
    [
        b'{"id":1,"exit":0,"seconds":NaN,"stopped":"","cut":0,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":Infinity,"stopped":"","cut":0,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":-1,"stopped":"","cut":0,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":1e400,"stopped":"","cut":0,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":[],"stopped":"","cut":0,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":0,"stopped":[],"cut":0,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":0,"stopped":{"a":1},"cut":0,"dropped":0}',
        b'{"id":1,"exit":' + b"9" * 5000 + b',"seconds":0,"stopped":"","cut":0,"dropped":0}',
        b'{"id":1,"exit":1.0,"seconds":0,"stopped":"","cut":0,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":0,"stopped":"","cut":-1000,"dropped":0}',
        b'{"id":1,"exit":0,"seconds":0,"stopped":"","cut":0,"dropped":1152921504606846976}',
        b'{"id":1,"error":[],"text":""}',
        b'{"id":1,"error":{"ENOSPC":1}}',
        b'{"id":1,"error":"ENOSPC","text":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"id":1}',
    ],
    ids=lambda header: header[:60].decode(),
)
def test_an_answer_that_says_nothing_is_an_error_of_the_sandbox_and_no_other(header: bytes) -> None:
    def story(far: Far) -> None:
        far.asked()
        far.say(frame(header))

    found, _ = met(story, command)

    assert isinstance(found, SandboxError), found


@pytest.mark.parametrize(
    "error", [b"[]", b"{}", b"1e9", b"null", b'"ENOSPC"', b'"\\ud800"', b'"' + b"E" * 60000 + b'"']
)
def test_a_refusal_of_any_shape_is_told_as_one(error: bytes) -> None:
    """What a runner says of a file goes on to a model, a ledger and a terminal."""
    text = rb'"\ud800\u001b[2J\u202e\u0007 then\nmore"'

    def story(far: Far) -> None:
        far.asked()
        far.say(frame(b'{"id":1,"error":' + error + b',"text":' + text + b"}"))

    found, _ = met(story, lambda runner: runner.read("/work/repo/a", limit=10))

    assert isinstance(found, ToolError | SandboxError), found
    assert found.message.encode("utf-8")
    assert len(found.message) < 1000


def test_an_answer_given_twice_ends_the_sandbox() -> None:
    def story(far: Far) -> None:
        far.asked()
        answer = frame(b'{"id":1,' + RIGHT + b"}")
        far.say(answer, answer)

    async def use(runner: Runner) -> None:
        assert (await command(runner)).exit == 0
        await command(runner)

    found, broken = met(story, use)

    assert isinstance(found, SandboxError)
    assert broken == ["the sandbox answered what was not asked"]


def test_answers_out_of_order_reach_who_asked_and_no_one_else() -> None:
    def story(far: Far) -> None:
        seen = 0
        while seen < 2:
            seen += far.sock.recv(1 << 20).count(b"/work/")
        far.say(frame(b'{"id":2,"size":1}', b"second"), frame(b'{"id":1,"size":1}', b"first"))

    async def use(runner: Runner) -> Any:
        return await asyncio.gather(runner.read("/work/1", limit=10), runner.read("/work/2", limit=10))

    assert met(story, use) == ([b"first", b"second"], [])


def test_a_body_is_bounded_by_its_own_question_and_not_by_another() -> None:
    def story(far: Far) -> None:
        far.asked()
        far.say(frame(b'{"id":1,"size":1}', b"x" * 11))

    async def use(runner: Runner) -> Any:
        return await asyncio.gather(runner.read("/work/1", limit=10), runner.read("/work/2", limit=1000))

    found, broken = met(story, use)

    assert isinstance(found, SandboxError)
    assert broken == ["the sandbox sent 11 bytes where 10 were the most"]


@pytest.mark.parametrize("kind", ["nothing", "half a frame", "a drop at a time", "live without end"])
def test_a_runner_that_never_answers_is_ended_by_the_hosts_own_clock(kind: str) -> None:
    ended = threading.Event()

    def story(far: Far) -> None:
        far.asked()
        if kind == "half a frame":
            far.say(frame(b'{"id":1,"size":1}', b"abc")[:12])
        while not ended.wait(0.01):
            if kind == "a drop at a time":
                far.say(b"\0")
            if kind == "live without end":
                far.say(frame(b'{"id":1,"live":1}', b"x" * 200_000))

    async def use(runner: Runner) -> None:
        try:
            number, answer = runner.channel.send({"op": "read"}, most=10, live=lambda _: None)
            assert number == 1
            await runner.within(0.3, answer)
        finally:
            ended.set()

    found, broken = met(story, use)

    assert isinstance(found, SandboxError)
    assert "no longer answers" in found.message or kind == "a drop at a time"
    assert broken


def test_a_flood_of_frames_takes_no_memory_of_the_host() -> None:
    """What nobody takes waits in the socket, where the kernel bounds it."""
    body, sent = frame(b'{"id":1,"live":1}', b"x" * 250_000), 400

    def story(far: Far) -> None:
        far.asked()
        for _ in range(sent):
            far.say(body)
        far.say(frame(b'{"id":1,' + RIGHT + b"}"))

    most = [0]

    async def use(runner: Runner) -> Any:
        def take(_: bytes) -> None:
            most[0] = max(most[0], len(runner.channel.reader._buffer))  # type: ignore[attr-defined]  # what asyncio holds

        return await runner.run(Command(argv=("true",)), output=take)

    found, _ = met(story, use)

    assert found.exit == 0
    assert most[0] < 4 << 20


def test_a_list_that_is_none_is_refused_and_names_are_only_text() -> None:
    """Names of files come from an agent: they may hold anything, and lead nowhere on the host."""
    records = {
        b"file 1 /work/repo/\xff\xfe": ["/work/repo/\ufffd\ufffd"],
        b"file 1 ../../etc/passwd": ["../../etc/passwd"],
        b"file -1 a": None,
        b"file 1e3 a": None,
        b"device 1 a": None,
        b"file": None,
    }
    for record, wanted in records.items():

        def story(far: Far, record: bytes = record) -> None:
            far.asked()
            far.say(frame(b'{"id":1,"more":0}', record))

        found, _ = met(story, lambda runner: runner.list("/work", depth=1, limit=10))
        assert isinstance(found, SandboxError) if wanted is None else [each.path for each in found] == wanted
