"""A foreign agent's way to its model: five dialects to ask in, by the address that is asked, whoever answers in the end."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from nightmill.errors import ModelRefused
from nightmill.model.foreign import Foreign, Unfit, read_foreign
from nightmill.model.problem import CONTEXT_HINT

__all__ = ["Desk", "ModelGateway", "Stream"]

OK, BAD, MISSING = 200, 400, 404
GEMINI = re.compile(r"/v1(?:alpha|beta)?/models/[^/:]+:(generateContent|streamGenerateContent|countTokens)")
ENDS = {
    "/messages": "anthropic",
    "/chat/completions": "chat",
    "/responses": "responses",
    "/api/chat": "ollama",
}
"""How the addresses end that are asked in each dialect but Gemini's."""
PLACES = ", ".join((*ENDS, "/v1beta/models/NAME:generateContent"))


class Stream(Protocol):
    """The answer to one request, piece by piece."""

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the head."""
        ...

    async def write(self, piece: bytes) -> None:
        """Send more of the body."""
        ...


class Desk(Protocol):
    """Whoever sees to it that a question is answered."""

    async def answer(self, asked: Foreign, header: Callable[[str], str], out: Stream) -> None:
        """Answer *asked*, whose headers *header* gives by name, on *out*.

        Raises:
            ModelRefused: If the request as such is refused.
        """
        ...


class _Door(NamedTuple):
    """Where a question came in: its dialect, and what the address says of it."""

    dialect: str
    counts: bool = False
    streams: bool | None = None


class ModelGateway:
    """Answers for *model*, the name that it lists, with what *desk* says. *go_on* is what agents are told that were interrupted."""

    def __init__(self, model: str, *, desk: Desk, go_on: str) -> None:
        self._model, self._desk, self._go_on = model, desk, go_on

    async def answer(self, route: tuple[str, str], header: Callable[[str], str], body: bytes, out: Stream) -> None:
        """Answer the request *body* to *route* (method, path), whose headers *header* gives by name, on *out*."""
        method, path = route[0], route[1].rstrip("/")
        door = _door(path) if method == "POST" else None
        if door is None:
            await self._list(method, path, out)
        elif door.counts:
            tokens = len(body) // 4 + 1
            await _say(out, OK, {"totalTokens": tokens} if door.dialect == "gemini" else {"input_tokens": tokens})
        else:
            await self._ask(door, header, body, out)

    async def _ask(self, door: _Door, header: Callable[[str], str], body: bytes, out: Stream) -> None:
        try:
            asked = await asyncio.to_thread(
                read_foreign, body, dialect=door.dialect, streams=door.streams, go_on=self._go_on
            )
            await self._desk.answer(asked, header, out)
        except (Unfit, ModelRefused) as no:
            too_long = isinstance(no, ModelRefused) and no.hint == CONTEXT_HINT
            kind = "context_length_exceeded" if too_long and door.dialect != "anthropic" else "invalid_request_error"
            words = f"prompt is too long: {no}" if too_long else str(no)
            await _refuse(out, door.dialect, BAD, kind, f"nightmill: {words}")

    async def _list(self, method: str, path: str, out: Stream) -> None:
        """What clients ask before they ask a model, and nothing else."""
        name = self._model
        if method == "GET" and path.endswith("/api/tags"):
            await _say(out, OK, {"models": [{"name": name, "model": name}]})
        elif method == "GET" and re.fullmatch(r"/v1(alpha|beta)/models", path):
            await _say(out, OK, {"models": [{"name": f"models/{name}"}]})
        elif method == "GET" and path.endswith("/models"):
            model = {"id": name, "object": "model", "type": "model", "created": 0, "owned_by": "nightmill"}
            await _say(out, OK, {"object": "list", "data": [model], "has_more": False})
        else:
            await _refuse(out, "chat", MISSING, "not_found_error", f"there is only {PLACES} here")


def _door(path: str) -> _Door | None:
    if found := GEMINI.search(path):
        return _Door("gemini", found[1] == "countTokens", found[1] == "streamGenerateContent")
    if path.endswith("/messages/count_tokens"):
        return _Door("anthropic", counts=True)
    return next((_Door(dialect) for end, dialect in ENDS.items() if path.endswith(end)), None)


async def _refuse(out: Stream, dialect: str, status: int, kind: str, message: str) -> None:
    """An error as the provider would word it; `x-should-retry` keeps an SDK from asking in vain."""
    body: dict[str, Any] = {"error": {"type": kind, "message": message, "code": kind, "param": None}}
    if dialect == "anthropic":
        body = {"type": "error", "error": {"type": kind, "message": message}}
    elif dialect == "gemini":
        body = {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}
    elif dialect == "ollama":
        body = {"error": message}
    await _say(out, status, body, {"x-should-retry": "false"})


async def _say(out: Stream, status: int, plain: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
    body = json.dumps(plain).encode()
    await out.begin(status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})})
    await out.write(body)
