"""One reply on its way in: the events of a stream taken in until it is whole, or until it only says the same again."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import httpx2

from nightmill.errors import ModelUnavailable
from nightmill.model import Progress
from nightmill.model.chant import Chant
from nightmill.model.depth import shallow
from nightmill.model.dialect import Reading
from nightmill.model.message import ModelReply, Usage
from nightmill.model.sse import Sse, SseReader

__all__ = ["LONGEST_SECONDS", "ODD", "Stream", "read_event"]

LONGEST_SECONDS = 3600.0
"""Of one reply from the first byte that is sent, however it trickles."""
LARGEST_REPLY = 64 << 20
DRAIN_SECONDS = 1.0
CHARACTERS = 3
"""Of a token, rather too few, where a reply that was cut off did not tell what it used."""
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
ODD = (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError)
"""What an event of an unexpected shape raises in a reading."""


class Stream:
    """One reply on its way in."""

    def __init__(self, *, reading: Reading, progress: Progress, clock: Callable[[], float]) -> None:
        self.reading = reading
        self._progress = progress
        self._clock = clock
        self._started = clock()
        self._first = self._ended = 0.0
        self._watch, self._said = Chant(), 0
        self.chant = ""
        """What the reply said over and over when it was cut off."""

    async def read(self, response: httpx2.Response) -> None:
        """Read until the reply is over, then let the connection end in peace so that it can be used again.

        That of a reply which chants is closed at once: its provider would go on, at our cost.
        """
        events, size = SseReader(), 0
        chunks: AsyncGenerator[bytes, None] = (
            response.aiter_bytes() if "content-encoding" in response.headers else response.aiter_raw()
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                size += len(chunk)
                self._take(events.feed(chunk))
                if self.reading.over:
                    break
                if self.chant and not self.reading.complete:
                    self._ended = self._clock()
                    return
                if size > LARGEST_REPLY:
                    raise ModelUnavailable("the stream went on beyond all bounds")
            else:
                self._take(events.close())
            with suppress(TimeoutError, httpx2.HTTPError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    async for _ in chunks:
                        pass

    def reply(self, *, sent: int) -> ModelReply:
        """The reply with its times, to a request of so many bytes.

        Raises:
            ModelUnavailable: If it is complete but makes no sense.
        """
        try:
            reply = self.reading.reply()
        except ODD as error:
            raise ModelUnavailable("the reply cannot be read") from error
        if not self.reading.complete:
            reply = replace(reply, stop="chant", raw_stop="chant", usage=self._used(reply.usage, sent))
        first = self._first or self._ended
        return replace(reply, first_seconds=first - self._started, seconds=self._ended - self._started)

    def _used(self, told: Usage, sent: int) -> Usage:
        """What a reply used that was cut off: as it told up to there, and no less than what was seen of it."""
        return replace(told, input=told.input or sent // CHARACTERS, output=max(told.output, self._said // CHARACTERS))

    def _take(self, events: list[Sse]) -> None:
        for sse in events:
            if self.reading.over:
                return
            try:
                event = read_event(sse)
                pieces = self.reading.feed(event) if event else ()
            except ODD as error:
                if self.reading.complete:
                    continue
                raise ModelUnavailable("the stream holds an event that cannot be read") from error
            if pieces and not self._first:
                self._first = self._clock()
            if self.reading.complete and not self._ended:
                self._ended = self._clock()
            for kind, text in pieces:
                self._said += len(text)
                self.chant = self.chant or self._watch.feed(kind, text)
                self._progress(kind, text)


def read_event(sse: Sse) -> dict[str, Any]:
    """The JSON of an event; its kind is in `type`, wherever the server said it."""
    data = sse.data.strip()
    if data == b"[DONE]":
        return {"type": "[DONE]"}
    if not data:
        return {}
    event: Any = json.loads(shallow(data.decode("utf-8", "replace")))
    if SURROGATE.search(data):
        event = json.loads(_whole(json.dumps(event, ensure_ascii=False)))
    if isinstance(event, list) and len(event) == 1:
        event = event[0]
    if not isinstance(event, dict):
        raise TypeError(event)
    if sse.name:
        event.setdefault("type", sse.name.decode("utf-8", "replace"))
    return event


def _whole(text: str) -> str:
    """*text* without halves of surrogate pairs, which JSON can carry and UTF-8, so the store, cannot."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
