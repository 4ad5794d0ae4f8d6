"""Server-sent events out of bytes: what a provider streams, cut where it cut it.

Our own reader because `str.splitlines` (which most clients use) also cuts at U+2028, U+2029 and U+0085, which may
stand unescaped inside JSON, and because a ready-made one costs half as much again as all the rest of a reply.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Sse", "SseReader"]


STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?')


class Sse(NamedTuple):
    """One event; *name* is empty where the server sent only data."""

    name: bytes
    data: bytes


class SseReader:
    """Takes the body as it arrives, gives the events that are whole.

    A line ends at LF or CRLF. Bare JSON counts as an event of its own, in one line (a stream of such lines is Ollama's
    way) or in several, up to where its braces balance (Google's errors). Comments, ids and retry times are dropped.
    """

    __slots__ = ("_bare", "_data", "_depth", "_name", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()  # a line may come in thousands of pieces
        self._name = b""
        self._data: list[bytes] = []
        self._bare: list[bytes] = []
        self._depth = 0

    def feed(self, chunk: bytes) -> list[Sse]:
        """The events that *chunk* completed."""
        first, end, more = chunk.partition(b"\n")
        self._rest += first
        if not end:
            return []
        lines = [bytes(self._rest), *more.split(b"\n")]
        self._rest = bytearray(lines.pop())
        found: list[Sse] = []
        for line in lines:
            self._line(line.removesuffix(b"\r"), found)
        return found

    def close(self) -> list[Sse]:
        """The event that was only lacking its empty line when the body ended."""
        found: list[Sse] = []
        self._line(bytes(self._rest).removesuffix(b"\r"), found)
        self._line(b"", found)
        if self._bare:
            found.append(self._flushed())
        self._rest = bytearray()
        return found

    def _line(self, line: bytes, found: list[Sse]) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif self._bare:
            self._more(line, found)
        elif not line:
            if self._data:
                found.append(Sse(self._name, b"\n".join(self._data)))
                self._data = []
            self._name = b""
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()
        elif line.startswith((b"{", b"[{")):
            self._more(line, found)
        elif line.startswith(b"\xef\xbb\xbf"):
            self._line(line[3:], found)

    def _more(self, line: bytes, found: list[Sse]) -> None:
        """Take a line of bare JSON in; no string of JSON goes over the end of a line."""
        if not self._bare and line.startswith(b"{") and line.endswith(b"}"):
            found.append(Sse(b"", line))
            return
        bones = STRING.sub(b"", line)
        self._bare.append(line)
        self._depth += sum(bones.count(sign) for sign in (b"{", b"["))
        self._depth -= sum(bones.count(sign) for sign in (b"}", b"]"))
        if self._depth <= 0:
            found.append(self._flushed())

    def _flushed(self) -> Sse:
        text = b"\n".join(self._bare)
        self._bare, self._depth = [], 0
        return Sse(b"", text)
