"""A foreign agent's way to its model: the key is added here, and every reply is counted and paid for.

What the agent and the provider say to each other is passed on as it is, in the provider's dialect; only read along.
Nothing is asked twice: agents retry by themselves, and know what for.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from nightmill.errors import LimitReached, ModelError, NotYet
from nightmill.model.dialect import Reading
from nightmill.model.foreign import Foreign, Unfit, read_foreign
from nightmill.model.message import Usage
from nightmill.model.price import cost
from nightmill.model.sse import SseReader
from nightmill.model.transport import ODD, Endpoint, read_event

__all__ = ["Call", "ModelGateway", "Stream", "Ticket", "Toll"]

LARGEST = 64 << 20
LARGEST_ERROR = 64 << 10
LONGEST_SECONDS = 3600.0
LONGEST_HEADER = 2000
OK, BAD, MISSING, NO_ANSWER = 200, 400, 404, 502
PASSED_UP = ("anthropic-version", "anthropic-beta")
PASSED_DOWN = ("content-type", "retry-after", "retry-after-ms", "x-should-retry")
LENGTH = {"anthropic": "max_tokens", "responses": "max_output_tokens"}


class Stream(Protocol):
    """The answer to one request, piece by piece."""

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the head."""
        ...

    async def write(self, piece: bytes) -> None:
        """Send more of the body."""
        ...


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


class Ticket(Protocol):
    """Leave to send one request."""

    @property
    def allowed(self) -> int:
        """Tokens that the reply may have."""
        ...

    async def admitted(self) -> None:
        """Wait until the reply may reach the agent."""
        ...

    def settle(self, call: Call) -> None:
        """Take note of how it ended; once."""
        ...


class Toll(Protocol):
    """Whoever counts what is used."""

    async def reserve(self, asked: Foreign) -> Ticket:
        """Set aside what *asked* can use at most.

        Raises:
            LimitReached: If that is more than is left.
            NotYet: If it is more than is left just now.
        """
        ...


class ModelGateway:
    """Answers in the dialect of one endpoint, with what that endpoint answers."""

    def __init__(
        self, endpoint: Endpoint, *, client: httpx2.AsyncClient, toll: Toll, clock: Callable[[], float]
    ) -> None:
        self._endpoint, self._client, self._toll, self._clock = endpoint, client, toll, clock

    async def answer(self, route: tuple[str, str], header: Callable[[str], str], body: bytes, out: Stream) -> None:
        """Answer the request *body* to *route* (method, path), whose headers *header* gives by name, on *out*."""
        method, path = route[0], route[1].rstrip("/")
        dialect = self._endpoint.dialect
        if method == "POST" and path.endswith("/messages/count_tokens"):
            await _say(out, OK, {"input_tokens": len(body) // 4 + 1})
        elif method == "GET" and path.endswith("/models"):
            model = {
                "id": self._endpoint.model,
                "object": "model",
                "type": "model",
                "created": 0,
                "owned_by": "nightmill",
            }
            await _say(out, OK, {"object": "list", "data": [model], "has_more": False})
        elif method != "POST" or not path.endswith(dialect.path):
            await self._refuse(out, MISSING, "not_found_error", f"there is only {dialect.path} here")
        else:
            await self._ask(header, body, out)

    async def _ask(self, header: Callable[[str], str], body: bytes, out: Stream) -> None:
        dialect = self._endpoint.dialect
        try:
            asked = read_foreign(body, dialect=dialect.name, model=self._endpoint.model)
            ticket = await self._toll.reserve(asked)
        except (Unfit, LimitReached, NotYet) as no:
            await self._refuse(out, BAD, "invalid_request_error", f"nightmill: {no}")
            return
        length = LENGTH.get(dialect.name, "max_completion_tokens" if not self._endpoint.base_url else "max_tokens")
        seen = _Seen(dialect.reading(), self._clock)
        try:
            await self._forward(
                asked.bounded(ticket.allowed, length=length), self._headers(header), ticket, (out, seen)
            )
        except httpx2.HTTPError as error:
            seen.reason = f"{type(error).__name__}: {error}"
            if not seen.status:
                await self._refuse(out, NO_ANSWER, "api_error", "the provider does not answer")
        finally:
            ticket.settle(seen.call(self._cost))

    async def _forward(self, body: bytes, headers: dict[str, str], ticket: Ticket, ends: tuple[Stream, _Seen]) -> None:
        out, seen = ends
        async with self._client.stream(
            "POST", self._endpoint.url, content=body, headers=headers, follow_redirects=False
        ) as response:
            seen.status = response.status_code
            kind = response.headers.get("content-type", "").lower()
            given = {name: response.headers[name] for name in PASSED_DOWN if name in response.headers}
            veil = _Veil(self._endpoint.key.reveal())
            if seen.status != OK or "json" in kind:
                whole = veil.all(await _bounded(response, LARGEST if seen.status == OK else LARGEST_ERROR))
                seen.take_whole(whole)
                await ticket.admitted()
                await out.begin(seen.status if seen.status >= OK else NO_ANSWER, given)
                await out.write(whole)
                return
            await ticket.admitted()
            await out.begin(OK, given)
            async for piece in _pieces(response):
                seen.take(piece)
                await out.write(veil.feed(piece))
            await out.write(veil.end())

    def _headers(self, header: Callable[[str], str]) -> dict[str, str]:
        """The endpoint's own, key and all, with the few that the agent may choose."""
        found = {"content-type": "application/json", "accept-encoding": "identity"}
        found |= self._endpoint.dialect.headers(self._endpoint.key.reveal())
        for name in PASSED_UP if self._endpoint.dialect.name == "anthropic" else ():
            value = header(name)
            if value and value.isascii() and value.isprintable() and len(value) < LONGEST_HEADER:
                found[name] = value
        return found

    def _cost(self, usage: Usage) -> float | None:
        point = self._endpoint
        return cost(usage, model=point.model, provider=point.provider, base_url=point.base_url)

    async def _refuse(self, out: Stream, status: int, kind: str, message: str) -> None:
        """An error as the provider would word it; `x-should-retry` keeps an SDK from asking in vain."""
        error = {"type": kind, "message": message, "code": kind, "param": None}
        body: dict[str, Any] = {"error": error}
        if self._endpoint.dialect.name == "anthropic":
            body = {"type": "error", "error": {"type": kind, "message": message}}
        await _say(out, status, body, {} if status == NO_ANSWER else {"x-should-retry": "false"})


class _Seen:
    """What was seen of one answer."""

    def __init__(self, reading: Reading, clock: Callable[[], float]) -> None:
        self.status, self.reason = 0, ""
        self._reading, self._clock, self._events = reading, clock, SseReader()
        self._began, self._first, self._said, self._size = clock(), 0.0, 0, 0

    def take(self, piece: bytes) -> None:
        """A piece of a stream."""
        self._size += len(piece)
        if self._size > LARGEST or self._clock() - self._began > LONGEST_SECONDS:
            raise httpx2.ReadError("the stream went on beyond all bounds")
        for sse in self._events.feed(piece):
            try:
                event = read_event(sse)
                if event:
                    self._feed(event)
            except ODD:
                continue  # for the agent to make sense of; what it used is then what was reserved

    def take_whole(self, body: bytes) -> None:
        """A reply that came in one piece, or an error."""
        try:
            plain: Any = json.loads(body)
        except (ValueError, RecursionError):
            plain = {}
        if self.status != OK or not isinstance(plain, dict):
            self.reason = f"{self.status}: {_words(plain)}"
            return
        try:
            for event in _as_events(plain):
                self._feed(event)
        except ODD:
            return
        self._said = max(self._said, len(body))

    def call(self, price: Callable[[Usage], float | None]) -> Call:
        """How it ended."""
        now = self._clock()
        try:
            usage = self._reading.reply().usage
        except ODD:
            usage = Usage()
        return Call(
            status=self.status,
            usage=usage,
            cost=price(usage),
            said=self._said,
            complete=self._reading.complete,
            first_seconds=(self._first or now) - self._began,
            seconds=now - self._began,
            reason=self.reason,
        )

    def _feed(self, event: dict[str, Any]) -> None:
        try:
            pieces = self._reading.feed(event)
        except ModelError as error:
            self.reason = error.message
            return
        self._said += sum(len(text) for _, text in pieces)
        if pieces and not self._first:
            self._first = self._clock()


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


def _as_events(plain: dict[str, Any]) -> list[dict[str, Any]]:
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
    finish = [{"finish_reason": (choice or {}).get("finish_reason")} for choice in plain.get("choices") or ()]
    return [{**plain, "choices": finish}, {"type": "[DONE]"}]


def _words(plain: Any) -> str:
    error = plain.get("error") if isinstance(plain, dict) else None
    text = str(error.get("message") or error.get("type") or "") if isinstance(error, dict) else ""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:300] or "no reason given"


async def _say(out: Stream, status: int, plain: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
    body = json.dumps(plain).encode()
    await out.begin(status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})})
    await out.write(body)


async def _pieces(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    chunks = response.aiter_bytes() if "content-encoding" in response.headers else response.aiter_raw()
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


async def _bounded(response: httpx2.Response, most: int) -> bytes:
    body = b""
    async with aclosing(_pieces(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > most:
                break
    return body[:most]
