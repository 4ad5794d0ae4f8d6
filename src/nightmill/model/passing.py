"""A foreign request that is passed on as it is, in the provider's own dialect: only read along, and bounded.

Its answer is whole before anybody gets it, so that it is asked again when it was cut off, and kept before it is used. One
that takes long goes out as it comes, because clients give a silent connection up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from nightmill.errors import ModelError, ModelRefused, ModelUnavailable
from nightmill.model.again import Surroundings
from nightmill.model.dialect import Reading
from nightmill.model.foreign import Foreign
from nightmill.model.gate import Passage
from nightmill.model.message import ModelReply, Usage
from nightmill.model.price import cost
from nightmill.model.problem import from_status, tidy_text
from nightmill.model.sse import Sse, SseReader
from nightmill.model.stream import ODD, read_event
from nightmill.model.transport import Endpoint

__all__ = ["Call", "Given", "Pass", "Seen", "Way", "sent"]

LARGEST = 64 << 20
LARGEST_ERROR = 64 << 10
LONGEST_SECONDS = 3600.0
LONGEST_HEADER = 2000
DRAIN_SECONDS = 1.0
OK = 200
PASSED_UP = ("anthropic-version", "anthropic-beta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How one request ended.

    Attributes:
        status: What the provider answered, 0 if nothing.
        said: Characters of the reply that were seen.
        complete: Whether its terminal event was; if not, *usage* may lack anything.
        reason: What went wrong, in words fit to show.
    """

    status: int
    usage: Usage = Usage()
    cost: float | None = None
    said: int = 0
    complete: bool = False
    first_seconds: float = 0.0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What goes back to who asked: *kind* is its content type."""

    status: int
    kind: str
    body: bytes


class Way(Protocol):
    """The way back to who asked, as long as an answer is not whole."""

    @property
    def begun(self) -> bool:
        """Whether something went: the request cannot be made again then."""
        ...

    async def more(self, kind: str, pieces: list[bytes]) -> None:
        """Let *pieces* go if it is time, and take those out that went."""
        ...


class Seen:
    """What was seen of one answer, at any time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.status, self.reason, self.complete = 0, "", False
        self.error: ModelError | None = None
        self._clock = clock
        self._reading: Reading | None = None
        self._began, self._first, self._said, self._size = clock(), 0.0, 0, 0
        self._usage: Usage | None = None
        self._cost: float | None = None

    def begin(self, reading: Reading) -> None:
        """An answer begins, which *reading* understands."""
        self._reading, self._events = reading, SseReader()

    def take(self, piece: bytes) -> None:
        """A piece of a stream."""
        self._size += len(piece)
        if self._size > LARGEST:
            raise httpx2.ReadError("the stream went on beyond all bounds")
        self._hear(self._events.feed(piece))

    def end(self) -> None:
        """The stream has ended."""
        self._hear(self._events.close())

    @property
    def over(self) -> bool:
        """Whether nothing of worth comes any more."""
        return bool(self._reading and self._reading.over)

    def _hear(self, events: list[Sse]) -> None:
        for sse in events:
            try:
                event = read_event(sse)
                if event:
                    self._feed(event)
            except ODD:
                continue  # for the agent to make sense of; what it used is then what was reserved

    def take_whole(self, body: bytes) -> None:
        """A reply that came in one piece."""
        try:
            for event in _as_events(json.loads(body)):
                self._feed(event)
        except ODD:
            return
        self._said = max(self._said, len(body))

    def take_reply(self, reply: ModelReply) -> None:
        """A reply that our own adapter read."""
        self.status, self.complete, self._usage, self._cost = OK, True, reply.usage, reply.cost
        self._first, self._began = self._clock(), self._clock() - reply.seconds

    def call(self, endpoint: Endpoint) -> Call:
        """How it ended."""
        now, usage = self._clock(), self._usage
        price = self._cost
        if usage is None:
            try:
                usage = self._reading.reply().usage if self._reading else Usage()
            except ODD:
                usage = Usage()
            price = cost(usage, model=endpoint.model, provider=endpoint.provider, base_url=endpoint.base_url)
        return Call(
            status=self.status,
            usage=usage,
            cost=price,
            said=self._said,
            complete=self.complete or bool(self._reading and self._reading.complete),
            first_seconds=(self._first or now) - self._began,
            seconds=now - self._began,
            reason=self.reason,
        )

    def _feed(self, event: dict[str, Any]) -> None:
        if self._reading is None:
            raise AssertionError("an answer begins before it is taken")
        try:
            pieces = self._reading.feed(event)
        except ModelError as error:
            self.error, self.reason = error, error.message
            return
        self._said += sum(len(text) for _, text in pieces)
        if pieces and not self._first:
            self._first = self._clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One request as it goes to *endpoint*: *body*, with what of the agent's own headers may go with it."""

    endpoint: Endpoint
    world: Surroundings
    body: bytes
    streams: bool
    header: Callable[[str], str]

    async def answer(self, passage: Passage | None, way: Way, seen: Seen) -> Given:
        """What the provider answered: a reply that is whole, or why the request as such is refused.

        Raises:
            ModelUnavailable: If it is to be asked again.
            ModelRefused: If it refuses whatever is asked.
        """
        seen.begin(self.endpoint.dialect.reading())
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await self._answer(passage, way, seen)
        except (httpx2.HTTPError, TimeoutError) as error:
            seen.reason = f"{type(error).__name__}: {error}"
            if way.begun:
                return Given(status=OK, kind="", body=b"")
            raise self.endpoint.told(ModelUnavailable(seen.reason)) from error

    async def _answer(self, passage: Passage | None, way: Way, seen: Seen) -> Given:
        async with self.world.client.stream(
            "POST", self._url(), content=self.body, headers=self._headers(), follow_redirects=False
        ) as response:
            seen.status = response.status_code
            kind = response.headers.get("content-type", "").lower()
            veil = _Veil(self.endpoint.key.reveal())
            if seen.status != OK:
                return self._refused(veil.all(await _bounded(response, LARGEST_ERROR)), response, passage, seen)
            if passage:
                passage.heard(OK, response.headers, wait=None)
            pieces: list[bytes] = []
            if "json" in kind.replace("ndjson", ""):
                pieces.append(veil.all(await _bounded(response, LARGEST)))
                seen.take_whole(pieces[0])
            else:
                await self._read(_pieces(response), pieces, way, seen, veil)
        self._judge(passage, way, seen)
        whole = kind if "json" in kind else self._kind()
        return Given(status=OK, kind=whole, body=b"".join(pieces))

    async def _read(
        self, chunks: AsyncGenerator[bytes, None], pieces: list[bytes], way: Way, seen: Seen, veil: _Veil
    ) -> None:
        """Read until the reply is over, then let the connection end in peace so that it can be used again."""
        async with aclosing(chunks):
            async for piece in chunks:
                seen.take(piece)
                pieces.append(veil.feed(piece))
                await way.more(self._kind(), pieces)
                if seen.over:
                    break
            else:
                seen.end()
            with suppress(TimeoutError, httpx2.HTTPError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    pieces.extend([veil.feed(piece) async for piece in chunks])
        pieces.append(veil.end())

    def _kind(self) -> str:
        return "application/x-ndjson" if self.endpoint.dialect.name == "ollama" else "text/event-stream"

    def _judge(self, passage: Passage | None, way: Way, seen: Seen) -> None:
        """Whether what came counts as a reply."""
        call = seen.call(self.endpoint)
        if call.complete and passage:
            passage.used = call.usage
        if call.complete or way.begun:
            return
        if seen.error is None:
            seen.reason = "the stream ended before the reply did"
            raise self.endpoint.told(ModelUnavailable(seen.reason))
        if isinstance(seen.error, ModelUnavailable) or getattr(seen.error, "whole", False):
            raise self.endpoint.told(seen.error)

    def _refused(self, body: bytes, response: httpx2.Response, passage: Passage | None, seen: Seen) -> Given:
        try:
            plain: Any = json.loads(body)
        except (ValueError, RecursionError):
            plain = body.decode("utf-8", "replace")
        status = response.status_code if response.status_code >= OK + 100 else 500
        error = from_status(status, plain, response.headers)
        seen.reason, unavailable = tidy_text(error.message), isinstance(error, ModelUnavailable)
        if passage and isinstance(error, ModelUnavailable):
            passage.heard(status, response.headers, wait=error.retry_after)
        if unavailable or (isinstance(error, ModelRefused) and error.whole) or status < 400:
            raise self.endpoint.told(error)
        return Given(status=status, kind=response.headers.get("content-type", ""), body=body)

    def _url(self) -> httpx2.URL:
        """Gemini's says whether the reply is to stream."""
        url = self.endpoint.url
        if self.endpoint.dialect.name != "gemini" or self.streams:
            return url
        return url.copy_with(path=url.path.replace(":streamGenerateContent", ":generateContent"), query=None)

    def _headers(self) -> dict[str, str]:
        """The endpoint's own, key and all, with the few that the agent may choose."""
        found = {"content-type": "application/json", "accept-encoding": "identity"}
        found |= self.endpoint.dialect.headers(self.endpoint.key.reveal())
        for name in PASSED_UP if self.endpoint.dialect.name == "anthropic" else ():
            value = self.header(name)
            if value and value.isascii() and value.isprintable() and len(value) < LONGEST_HEADER:
                found[name] = value
        return found


def sent(asked: Foreign, *, model: str, base_url: str, allowed: int) -> bytes:
    """*asked* as it goes to *model* at *base_url* ("": its provider's own), for a reply of at most *allowed* tokens."""
    length = {"chat": "max_tokens" if base_url else "max_completion_tokens"}.get(asked.dialect, "")
    return asked.bounded(allowed, model=model, length=length)


class _Veil:
    """Stars instead of the key, should a server send it back."""

    def __init__(self, key: str) -> None:
        self._key, self._held = key.encode(), b""

    def all(self, body: bytes) -> bytes:
        """*body* without it."""
        return body.replace(self._key, b"*" * len(self._key)) if self._key else body

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on: a tail with which the key could begin is kept."""
        clean = self.all(self._held + piece)
        most = range(min(len(self._key) - 1, len(clean)), 0, -1)
        keep = next((size for size in most if self._key.startswith(clean[-size:])), 0)
        self._held = clean[len(clean) - keep :]
        return clean[: len(clean) - keep]

    def end(self) -> bytes:
        """The rest."""
        rest, self._held = self._held, b""
        return rest


def _as_events(plain: Any) -> list[dict[str, Any]]:
    """A reply in one piece as the events of a stream that say what it used."""
    if plain.get("type") == "message":
        stop = {"stop_reason": plain.get("stop_reason")}
        return [
            {"type": "message_start", "message": plain},
            {"type": "message_delta", "delta": stop, "usage": plain.get("usage")},
            {"type": "message_stop"},
        ]
    if plain.get("object") == "response":
        return [{"type": f"response.{plain.get('status')}", "response": plain}]
    if "choices" not in plain:
        return [plain]  # Gemini's and Ollama's are one event
    finish = [{"finish_reason": (choice or {}).get("finish_reason")} for choice in plain.get("choices") or ()]
    return [{**plain, "choices": finish}, {"type": "[DONE]"}]


async def _pieces(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    chunks = response.aiter_bytes() if "content-encoding" in response.headers else response.aiter_raw()
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


async def _bounded(response: httpx2.Response, most: int) -> bytes:
    body = bytearray()
    async with aclosing(_pieces(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > most:
                break
    return bytes(body[:most])
