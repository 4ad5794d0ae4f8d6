"""What an editor writes, line by line: only what is a message of JSON-RPC comes through, anything else is answered and does no harm."""

from __future__ import annotations

import asyncio
import json
from typing import Any

__all__ = ["LONGEST", "Lines"]

LONGEST = 50 << 20
"""Bytes of a message, which may hold pictures."""
NO_JSON, NO_REQUEST = -32700, -32600


class Lines:
    """A transport for the protocol's library, whose own ends with the first line that is JSON and no message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._one = asyncio.Lock()

    async def send(self, message: dict[str, Any]) -> None:
        """Write it, as a line of its own."""
        async with self._one:
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            await self._writer.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None when the editor is gone."""
        while True:
            try:
                line = await self._reader.readline()
            except ValueError:  # it is longer than the reader's bound, and what was read of it is dropped
                await self._refuse(NO_JSON, "the line is too long")
                continue
            if not line:
                return None
            if line.strip() and (message := await self._read(line)) is not None:
                return message

    async def close(self) -> None:
        """Write no more."""
        self._writer.close()

    async def _read(self, line: bytes) -> dict[str, Any] | None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            await self._refuse(NO_JSON, "this is no JSON")
            return None
        if isinstance(message, dict) and _fits(message):
            return message
        await self._refuse(NO_REQUEST, "this is no message of JSON-RPC")
        return None

    async def _refuse(self, code: int, words: str) -> None:
        await self.send({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": words}})


def _fits(message: dict[str, Any]) -> bool:
    """Whether what the library looks at is of the type that it takes it for."""
    kinds = {"method": str, "params": dict | None, "id": str | int | None, "error": dict | None}
    return all(isinstance(message[name], kind) for name, kind in kinds.items() if name in message)
