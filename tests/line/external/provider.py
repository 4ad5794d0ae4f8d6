"""A provider of Chat Completions with one answer, faults where they are wanted, and a record of what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-canary-0123456789"


@dataclass
class Provider:
    """*faults* are met first, each once: a status, "cut" in the middle, "key" sends the key back, "stall" says nothing."""

    given: int = 100
    made: int = 10
    faults: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    gone: int = 0
    url: str = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Provider]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            size = next(line for line in head.lower().splitlines() if line.startswith("content-length"))
            body = json.loads(await reader.readexactly(int(size.split()[1])))
            self.heads.append(head)
            self.asked.append(body)
            fault = self.faults.pop(0) if self.faults else None
            if isinstance(fault, int):
                text = json.dumps({"error": {"message": f"no, {KEY}", "type": "server_error"}}).encode()
                writer.write(
                    f"HTTP/1.1 {fault} No\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode()
                )
                writer.write(text)
            elif body["stream"]:
                await self._stream(reader, writer, fault)
            else:
                choice = {"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}
                text = json.dumps({"choices": [choice], "usage": self._usage()}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n" + text)
            await writer.drain()
        finally:
            writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        if fault == "stall":
            await writer.drain()
            await reader.read()
            self.gone += 1
            return
        said = f"a key: {KEY}!" if fault == "key" else "said"
        event = _event({"choices": [{"index": 0, "delta": {"content": said}}]})
        for piece in (event[: len(event) // 2], event[len(event) // 2 :]):  # in the midst of the key, if there is one
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05 if fault == "key" else 0)
        if fault == "cut":
            return
        writer.write(_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        writer.write(_event({"choices": [], "usage": self._usage()}) + b"data: [DONE]\n\n")

    def _usage(self) -> dict[str, int]:
        return {"prompt_tokens": self.given, "completion_tokens": self.made}


def _event(plain: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(plain).encode() + b"\n\n"
