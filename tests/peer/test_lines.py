"""What an editor writes that is no message is answered, and the next message is heard: nothing that it says ends the agent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from nightmill.peer.lines import Lines
from tests.whole import MODELS, Mill, repository

NO_JSON, NO_MESSAGE = -32700, -32600
BAD = {
    b"no JSON\n": NO_JSON,
    b"\xff\xfe\n": NO_JSON,
    b"[" * 100_000 + b"\n": NO_JSON,
    b"x" * 5_000 + b"\n": NO_JSON,
    b"[1,2]\n": NO_MESSAGE,
    b"null\n": NO_MESSAGE,
    b'{"jsonrpc":"2.0","id":{"a":1},"method":"initialize"}\n': NO_MESSAGE,
    b'{"jsonrpc":"2.0","id":1,"method":5}\n': NO_MESSAGE,
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":[1]}\n': NO_MESSAGE,
    b'{"jsonrpc":"2.0","id":1,"error":"x"}\n': NO_MESSAGE,
}
ASKED = [
    ("initialize", {"protocolVersion": 99}, 1),
    ("initialize", {"protocolVersion": 0}, 1),
    ("nonsense", {}, -32601),
    ("session/new", {"cwd": 5}, -32602),
    ("session/prompt", {"sessionId": "none", "prompt": [{"type": "text", "text": "x"}]}, -32002),
    ("session/prompt", {"sessionId": "none", "prompt": [{"type": "none"}]}, -32602),
    ("session/load", {"sessionId": "none", "cwd": "/", "mcpServers": []}, -32002),
]
"""Requests, and the version or the code that each is answered with."""


def test_each_line_that_is_no_message_is_answered_and_does_no_harm() -> None:
    class Written:
        said = b""

        def write(self, line: bytes) -> None:
            self.said += line

        async def drain(self) -> None: ...

    async def story() -> None:
        reader, writer = asyncio.StreamReader(limit=200_000), Written()
        lines = Lines(reader, writer)  # type: ignore[arg-type]  # what it needs of one
        for line in (*BAD, b"\n", b"y" * 300_000 + b"\n", b'{"jsonrpc":"2.0","id":1,"method":"initialize"}\n'):
            reader.feed_data(line)
        reader.feed_eof()
        assert await lines.receive() == {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        assert await lines.receive() is None
        codes = [json.loads(each)["error"]["code"] for each in writer.said.splitlines()]
        assert codes == [*BAD.values(), NO_JSON]

    asyncio.run(story())


def test_whatever_is_asked_of_it_is_answered_and_it_ends_with_its_editor(tmp_path: Path) -> None:
    mill = Mill(folder=tmp_path).given(NIGHTMILL_MODEL=MODELS["anthropic"], NIGHTMILL_PERSON="Ada <ada@example.org>")
    checkout = repository(tmp_path / "calc")
    assert not mill.run("init", at=checkout).returncode

    async def story() -> dict[int, Any]:
        process = await asyncio.create_subprocess_exec(
            *mill.command(), "acp", cwd=checkout, env=mill.variables(), stdin=-1, stdout=-1, limit=1 << 20
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for number, (method, params, _) in enumerate(ASKED):
            asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(b"{no message\n" + json.dumps(asked).encode() + b"\n")
        found: dict[int, Any] = {}
        async with asyncio.timeout(60):
            while len(found) < len(ASKED):
                said = json.loads(await process.stdout.readline())
                if said["id"] is not None:
                    found[said["id"]] = said
            process.stdin.write(b'{"jsonrpc":"2.0","id":9,"meth')  # and then it is gone
            process.stdin.close()
            assert await process.wait() == 0
        return found

    found = asyncio.run(story())
    for number, (_, _, wanted) in enumerate(ASKED):
        said = found[number]
        assert (said["result"]["protocolVersion"] if "result" in said else said["error"]["code"]) == wanted
