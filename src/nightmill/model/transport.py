"""A model behind HTTP: one streamed POST per reply, and our own retries around it.

SDKs retry only until the first byte, sleep through any `retry-after`, and take a stream that was cut short for a
short reply. Here a reply counts when its terminal event was seen; everything else is thrown away and asked again.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from typing import Any

import httpx2

from nightmill.errors import ModelError, ModelRefused, ModelUnavailable
from nightmill.model import Notice, Progress
from nightmill.model.dialect import Dialect, Reading, unique, wire
from nightmill.model.gate import Gate, Passage
from nightmill.model.history import own, signed
from nightmill.model.message import ModelReply, ModelRequest, ToolCall
from nightmill.model.price import cost
from nightmill.model.problem import from_status, tidy_text
from nightmill.model.sse import Sse, SseReader
from nightmill.model.text import Spoken
from nightmill.model.written import taken
from nightmill.settings import Settings

__all__ = ["ODD", "Endpoint", "HttpModel", "Key", "Surroundings", "read_event"]

LONGEST_SECONDS = 3600.0
LARGEST_REPLY = 64 << 20
LARGEST_ERROR = 64 << 10
DRAIN_SECONDS = 1.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0

OK = 200
REDIRECTS = range(300, 400)
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
ODD = (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError)
"""What an event of an unexpected shape raises in a reading."""


class Key:
    """An API key that does not show itself: not in a repr, not in a traceback's locals."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Key(…)" if self._text else "Key()"

    def reveal(self) -> str:
        """The key itself, for the header and to take it out of what others say."""
        return self._text


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One model of one provider at one address.

    Attributes:
        name: What the operator called it; errors do so, too.
        provider: Whose prices count.
        base_url: Empty at the provider's own address.
    """

    name: str
    provider: str
    model: str
    dialect: Dialect
    url: httpx2.URL
    base_url: str
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the world gives: connections, and the three things that a test wants to hold."""

    client: httpx2.AsyncClient
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    clock: Callable[[], float]
    gate: Gate | None = None
    """What keeps the rates of the endpoint's key; None: nothing does."""


class HttpModel:
    """A `Model` that is asked over HTTP."""

    def __init__(self, *, endpoint: Endpoint, settings: Settings, surroundings: Surroundings) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._world = surroundings

    def __repr__(self) -> str:
        return f"HttpModel({self._endpoint.name} at {self._endpoint.url.host})"

    async def reply(
        self, request: ModelRequest, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> ModelReply:
        """Send *request* and return the whole reply; a watcher may see the start of one that did not count.

        Raises:
            ModelUnavailable: If the provider was still down after the retries, or asks for a longer wait than is slept.
            ModelRefused: If it refused the request as such.
        """
        name = self._endpoint.name
        request = replace(request, model=request.model or self._endpoint.model, messages=own(request.messages, by=name))
        body = wire(self._endpoint.dialect, request)
        for attempt in count(1):
            try:
                async with self._passage(request, body, notice or _unnoticed) as passage:
                    return await self._attempt(request, body, passage, progress or _nobody)
            except ModelUnavailable as error:
                wait = self._wait(error.retry_after, attempt)
                if wait is None:
                    raise
                if notice:
                    notice(error.message, wait, attempt)
            await self._world.sleep(wait)
        raise AssertionError

    def _wait(self, retry_after: float | None, attempt: int) -> float | None:
        """Seconds before the next request, None if there is to be none.

        Half a second that doubles up to eight, less up to a quarter; what the provider asks for, and up to a tenth
        more: else all that were refused at once would come back at once.
        """
        if attempt > self._settings.retries or (retry_after or 0.0) > self._settings.retry_after:
            return None
        jitter = self._world.random()
        own = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1)) * (1 - jitter / 4)
        return max(own, (retry_after or 0.0) * (1 + jitter / 10))

    @asynccontextmanager
    async def _passage(self, request: ModelRequest, body: bytes, notice: Notice) -> AsyncGenerator[Passage | None]:
        """One call's way through the gate.

        Raises:
            NotYet: If the key has no room for longer than is waited.
        """
        gate = self._world.gate
        if gate is None:
            yield None
            return
        passage = await gate.enter(
            request.conversation, size=len(body), most=request.max_tokens, tell=lambda words: notice(words, 0.0, 0)
        )
        try:
            yield passage
        finally:
            passage.leave()

    async def _attempt(
        self, request: ModelRequest, body: bytes, passage: Passage | None, progress: Progress
    ) -> ModelReply:
        stream = _Stream(reading=self._endpoint.dialect.reading(), progress=progress, clock=self._world.clock)
        try:
            await self._receive(stream, body, passage)
            reply = taken(stream.reply(), request.tools, loose=isinstance(self._endpoint.dialect, Spoken))
        except ModelError as error:
            raise self._told(error) from None
        if passage:
            passage.used = reply.usage
        used = {part.id for message in request.messages for part in message.parts if isinstance(part, ToolCall)}
        return replace(
            reply,
            parts=signed(unique(reply.parts, taken=used), by=self._endpoint.name),
            model=reply.model or request.model,
            by=self._endpoint.name,
            cost=self._cost(reply, request),
            sent=sha256(body).hexdigest(),
            asked=request.max_tokens,
        )

    async def _receive(self, stream: _Stream, body: bytes, passage: Passage | None) -> None:
        """Fill *stream* with one answer; a connection lost after the reply was complete does no harm."""
        # Compressed events come in lumps.
        headers = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}
        headers |= self._endpoint.dialect.headers(self._endpoint.key.reveal())
        try:
            async with self._world.client.stream(
                "POST", self._endpoint.url, content=body, headers=headers, follow_redirects=False
            ) as response:
                try:
                    await _refuse_all_but_events(response)
                except ModelUnavailable as error:
                    if passage:
                        passage.heard(response.status_code, response.headers, wait=error.retry_after)
                    raise
                if passage:
                    passage.heard(response.status_code, response.headers, wait=None)
                await stream.read(response)
        except httpx2.HTTPError as error:
            if not stream.reading.complete:
                raise ModelUnavailable(f"{type(error).__name__}: {error}") from error
        if not stream.reading.complete:
            raise ModelUnavailable("the stream ended before the reply did")

    def _told(self, error: ModelError) -> ModelError:
        """*error* with who it was, and without what must not be told."""
        who = f"{self._endpoint.name} at {self._endpoint.url.host}"
        said = tidy_text(error.message, secret=self._endpoint.key.reveal())
        plain = {**error.to_plain(), "message": f"{who}: {said}"}
        return type(error).read_plain(plain)

    def _cost(self, reply: ModelReply, request: ModelRequest) -> float | None:
        found = None
        for model in dict.fromkeys((reply.model, request.model)):
            if found is None and model:
                found = cost(
                    reply.usage, model=model, provider=self._endpoint.provider, base_url=self._endpoint.base_url
                )
        return found


class _Stream:
    """One reply on its way in."""

    def __init__(self, *, reading: Reading, progress: Progress, clock: Callable[[], float]) -> None:
        self.reading = reading
        self._progress = progress
        self._clock = clock
        self._started = clock()
        self._first = self._ended = 0.0

    async def read(self, response: httpx2.Response) -> None:
        """Read until the reply is over, then let the connection end in peace so that it can be used again."""
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
                if size > LARGEST_REPLY or self._clock() - self._started > LONGEST_SECONDS:
                    raise ModelUnavailable("the stream went on beyond all bounds")
            else:
                self._take(events.close())
            with suppress(TimeoutError, httpx2.HTTPError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    async for _ in chunks:
                        pass

    def reply(self) -> ModelReply:
        """The reply with its times.

        Raises:
            ModelUnavailable: If it is complete but makes no sense.
        """
        try:
            reply = self.reading.reply()
        except ODD as error:
            raise ModelUnavailable("the reply cannot be read") from error
        first = self._first or self._ended
        return replace(reply, first_seconds=first - self._started, seconds=self._ended - self._started)

    def _take(self, events: list[Sse]) -> None:
        for sse in events:
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
                self._progress(kind, text)


def read_event(sse: Sse) -> dict[str, Any]:
    """The JSON of an event; its kind is in `type`, wherever the server said it."""
    data = sse.data.strip()
    if data == b"[DONE]":
        return {"type": "[DONE]"}
    if not data:
        return {}
    event: Any = json.loads(data.decode("utf-8", "replace"))
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


async def _refuse_all_but_events(response: httpx2.Response) -> None:
    status, kind = response.status_code, response.headers.get("content-type", "").lower()
    if status in REDIRECTS:
        raise ModelRefused(
            f"{status}: the endpoint redirects", hint="set the base URL to where it redirects", whole=True
        )
    if status == OK and "json" not in kind.replace("ndjson", "") and "html" not in kind:
        return
    body = await _bounded(response)
    if status != OK:
        raise from_status(status, body, response.headers)
    first = body[0] if isinstance(body, list) and body else body
    if isinstance(first, dict) and first.get("error"):
        raise from_status(500, body, response.headers)
    raise ModelRefused(
        f"the endpoint answered with {kind or 'something'} instead of a stream of events",
        hint="check the base URL; endpoints that cannot stream are not supported",
        whole=True,
    )


async def _bounded(response: httpx2.Response) -> Any:
    """The start of a body, as JSON if it is some."""
    text = b""
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            text += chunk
            if len(text) > LARGEST_ERROR:
                break
    words = text[:LARGEST_ERROR].decode("utf-8", "replace")
    try:
        return json.loads(words)
    except (ValueError, RecursionError):
        return re.sub(r"<[^>]*>|\s+", " ", words)


def _nobody(_kind: str, _text: str) -> None:
    pass


def _unnoticed(_reason: str, _wait: float, _attempt: int) -> None:
    pass
