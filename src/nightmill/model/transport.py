"""A model behind HTTP: one streamed POST per reply, and our own retries around it.

SDKs retry only until the first byte, sleep through any `retry-after`, and take a stream that was cut short for a
short reply. Here a reply counts when its terminal event was seen; everything else is thrown away and asked again.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import httpx2

from nightmill.errors import ModelError, ModelRefused, ModelUnavailable
from nightmill.model import Notice, Progress
from nightmill.model.again import Load, Surroundings, persist
from nightmill.model.dialect import Dialect, unique, wire
from nightmill.model.gate import Passage
from nightmill.model.history import own, signed
from nightmill.model.message import ModelReply, ModelRequest, ToolCall
from nightmill.model.price import cost
from nightmill.model.problem import SOME_KEY, from_status, tidy_text
from nightmill.model.stream import LONGEST_SECONDS, Stream
from nightmill.model.text import Spoken
from nightmill.model.written import taken
from nightmill.settings import Settings

__all__ = ["Endpoint", "HttpModel", "Key"]

LARGEST_ERROR = 64 << 10

OK = 200
REDIRECTS = range(300, 400)


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
        variable: Where the operator puts its key.
    """

    name: str
    provider: str
    model: str
    dialect: Dialect
    url: httpx2.URL
    base_url: str
    variable: str
    key: Key

    @property
    def who(self) -> str:
        """How errors call it."""
        return f"{self.name} at {self.url.host}{f':{self.url.port}' if self.url.port else ''}"

    def told(self, error: ModelError) -> ModelError:
        """*error* with who it was and where its key is, and without what must not be told."""
        message = f"{self.who}: {tidy_text(error.message, secret=self.key.reveal())}"
        hint = error.hint.replace(SOME_KEY, self.variable)
        return type(error).read_plain({**error.to_plain(), "message": message, "hint": hint})


class HttpModel:
    """A `Model` that is asked over HTTP."""

    def __init__(self, *, endpoint: Endpoint, settings: Settings, surroundings: Surroundings) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._world = surroundings

    def __repr__(self) -> str:
        return f"HttpModel({self._endpoint.who})"

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
        return await persist(
            lambda passage: self.once(request, body, passage, progress),
            load=Load(conversation=request.conversation, size=len(body), most=request.max_tokens),
            world=self._world,
            settings=self._settings,
            notice=notice or _unnoticed,
        )

    async def once(
        self, request: ModelRequest, body: bytes, passage: Passage | None, progress: Progress | None = None
    ) -> ModelReply:
        """The reply to one sending of *request*, whose *body* on the wire that is.

        Raises:
            ModelUnavailable: If there was none, or none that is whole.
            ModelRefused: If it refused the request as such.
        """
        stream = Stream(reading=self._endpoint.dialect.reading(), progress=progress or _nobody, clock=self._world.clock)
        try:
            await self._receive(stream, body, passage)
            reply = taken(stream.reply(sent=len(body)), request.tools, loose=isinstance(self._endpoint.dialect, Spoken))
        except ModelError as error:
            raise self._endpoint.told(error) from None
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

    async def _receive(self, stream: Stream, body: bytes, passage: Passage | None) -> None:
        """Fill *stream* with one answer; a connection lost after the reply was complete does no harm."""
        # Compressed events come in lumps.
        headers = {"content-type": "application/json", "accept": "text/event-stream", "accept-encoding": "identity"}
        headers |= self._endpoint.dialect.headers(self._endpoint.key.reveal())
        try:
            async with (
                asyncio.timeout(LONGEST_SECONDS),
                self._world.client.stream(
                    "POST", self._endpoint.url, content=body, headers=headers, follow_redirects=False
                ) as response,
            ):
                try:
                    await _refuse_all_but_events(response, patience=self._settings.idle_read)
                except ModelUnavailable as error:
                    if passage:
                        passage.heard(response.status_code, response.headers, wait=error.retry_after)
                    raise
                if passage:
                    passage.heard(response.status_code, response.headers, wait=None)
                await stream.read(response)
        except (httpx2.HTTPError, TimeoutError) as error:
            if not stream.reading.complete:
                words = str(error) or f"the reply was not whole after {LONGEST_SECONDS:.0f} s"
                raise ModelUnavailable(f"{type(error).__name__}: {words}") from error
        if not stream.reading.complete and not stream.chant:
            raise ModelUnavailable("the stream ended before the reply did")

    def _cost(self, reply: ModelReply, request: ModelRequest) -> float | None:
        found = None
        for model in dict.fromkeys((reply.model, request.model)):
            if found is None and model:
                found = cost(
                    reply.usage, model=model, provider=self._endpoint.provider, base_url=self._endpoint.base_url
                )
        return found


async def _refuse_all_but_events(response: httpx2.Response, *, patience: float) -> None:
    status, kind = response.status_code, response.headers.get("content-type", "").lower()
    if status in REDIRECTS:
        raise ModelRefused(
            f"{status}: the endpoint redirects", hint="set the base URL to where it redirects", whole=True
        )
    if status == OK and "json" not in kind.replace("ndjson", "") and "html" not in kind:
        return
    body = await _bounded(response, patience=patience)
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


async def _bounded(response: httpx2.Response, *, patience: float) -> Any:
    """The start of a body, as JSON if it is some; of one that trickles what came within *patience* seconds."""
    text = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience), aclosing(response.aiter_bytes()) as chunks:
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
