"""Google Gemini: generateContent, streamed."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from nightmill.model.dialect import NOTHING, Piece, arguments, count, settle
from nightmill.model.history import read_object, tidy, with_tail
from nightmill.model.message import (
    Message,
    ModelReply,
    ModelRequest,
    Part,
    Stop,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from nightmill.model.problem import from_event
from nightmill.model.schema import GEMINI, subset

__all__ = ["Gemini"]

NAME = "gemini"
TOKEN = "continuationToken"  # noqa: S105 - of a reply that is to be continued
UNSIGNED = re.compile(r"(models/)?gemini-[12]\b")
"""Models that take calls without a signature."""
FOREIGN = "skip_thought_signature_validator"
"""What Google documents as the signature of a call that another model made."""

STOPS: dict[str, Stop] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "SAFETY": "refused",
    "RECITATION": "refused",
    "LANGUAGE": "refused",
    "BLOCKLIST": "refused",
    "PROHIBITED_CONTENT": "refused",
    "SPII": "refused",
    "ESCALATION": "refused",
    "PUP_LIMITED_DISABLED": "refused",
    "MODEL_ARMOR": "refused",
}
"""All others (MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, CONTINUATION, OTHER, …) are worth asking again."""


class Gemini:
    """The Gemini API. The model is part of the address."""

    name = NAME

    def __init__(self, *, model: str) -> None:
        folder, _, name = model.rpartition("/")
        self.path = f"/{folder or 'models'}/{quote(name, safe='')}:streamGenerateContent?alt=sse"

    def headers(self, key: str) -> dict[str, str]:
        """The key; never in the address, which would be logged."""
        return {"x-goog-api-key": key} if key else {}

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """A request; the cache is automatic."""
        lasting = tidy(request.messages, dialect=NAME)
        token = _continued(lasting)
        ids = {
            part.id: part.opaque.get(NAME, {}).get("functionCall", {})
            for message in lasting
            for part in message.parts
            if isinstance(part, ToolCall)
        }
        signed = not UNSIGNED.match(request.model)
        body: dict[str, Any] = {
            "contents": [
                _content(message, ids, signed=signed)
                for message in with_tail(lasting[:-1] if token else lasting, request.tail if not token else "")
            ],
            "generationConfig": {"maxOutputTokens": request.max_tokens},
        }
        if token:
            body[TOKEN] = token
        if system := [{"text": text} for text in request.system if text.strip()]:
            body["systemInstruction"] = {"parts": system}
        if request.tools:
            body["tools"] = [
                {
                    "functionDeclarations": [
                        {
                            "name": _function(tool.name),
                            "description": tool.description,
                            "parametersJsonSchema": subset(tool.parameters, GEMINI),
                        }
                        for tool in request.tools
                    ]
                }
            ]
        if request.thinking:
            body["generationConfig"]["thinkingConfig"] = {
                "includeThoughts": True,
                "thinkingBudget": min(request.thinking, request.max_tokens),
            }
        return body

    def reading(self) -> GeminiReading:
        """A fresh reader of one reply."""
        return GeminiReading()


class GeminiReading:
    """Parts in the order of arrival: there are no indices, and each event is a whole response of its own."""

    __slots__ = ("_blocked", "_finish", "_head", "_parts", "_token", "_usage", "complete", "over")

    def __init__(self) -> None:
        self.complete = self.over = False
        self._parts: list[dict[str, Any]] = []
        self._usage: dict[str, Any] = {}
        self._head: dict[str, Any] = {}
        self._finish = self._blocked = self._token = ""

    def feed(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        """Take one event in."""
        if error := event.get("error"):
            raise from_event(error)
        self._head.update({name: value for name, value in event.items() if name in {"modelVersion", "responseId"}})
        # Figures are running totals: a later one replaces the one before.
        self._usage.update(event.get("usageMetadata") or {})
        if blocked := (event.get("promptFeedback") or {}).get("blockReason"):
            self._blocked, self.complete = blocked, True
        for candidate in event.get("candidates") or ():
            if not candidate.get("index"):
                return self._candidate(candidate)
        return NOTHING

    def reply(self) -> ModelReply:
        """The reply, in the order of arrival."""
        parts = [part for raw in self._parts for part in _read(_joined(raw))]
        if self._finish == "CONTINUATION" and self._token:
            # A history that ends with it asks for the rest.
            parts.append(Text(text="", opaque={NAME: {TOKEN: self._token}}))
        usage = self._usage
        return ModelReply(
            parts=tuple(parts),
            stop=settle(parts, "refused" if self._blocked else STOPS.get(self._finish, "again")),
            raw_stop=self._blocked or self._finish,
            usage=Usage(
                input=count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount"),
                cache_read=count(usage, "cachedContentTokenCount"),
                output=count(usage, "candidatesTokenCount") + count(usage, "thoughtsTokenCount"),
                reasoning=count(usage, "thoughtsTokenCount"),
            ),
            model=self._head.get("modelVersion") or "",
            id=self._head.get("responseId") or "",
        )

    def _candidate(self, candidate: dict[str, Any]) -> tuple[Piece, ...]:
        pieces = [piece for part in (candidate.get("content") or {}).get("parts") or () for piece in self._take(part)]
        self._token = candidate.get(TOKEN) or self._token
        finish = candidate.get("finishReason")
        if finish == "MISSING_THOUGHT_SIGNATURE":
            raise from_event({"type": finish, "message": "the history lacks the signature of a call"})
        if finish and finish != "FINISH_REASON_UNSPECIFIED":
            self._finish, self.complete = finish, True
        return tuple(piece for piece in pieces if piece[1])

    def _take(self, part: dict[str, Any]) -> tuple[Piece, ...]:
        """Add *part*; text goes on the text before it if both are of one kind and neither bears anything else."""
        call, text = part.get("functionCall"), part.get("text")
        if call is not None:
            self._parts.append(part)
            return ("tool", call["name"]), ("tool_call", arguments(call.get("args")))
        if text is None:
            return NOTHING
        if not isinstance(text, str):
            raise TypeError(text)
        last = self._parts[-1] if self._parts else {}
        if _bare(part) and _bare(last) and bool(part.get("thought")) == bool(last.get("thought")):
            last["text"].append(text)
        elif text or not _bare(part):
            self._parts.append({**part, "text": [text]})
        return (("thinking" if part.get("thought") else "text", text),)


def _bare(part: dict[str, Any]) -> bool:
    """Whether *part* is text without a signature or anything else that belongs to just this part."""
    return "text" in part and not part.keys() - {"text", "thought"}


def _joined(raw: dict[str, Any]) -> dict[str, Any]:
    """*raw* with its text in one piece: it came in as many as the server liked."""
    return {**raw, "text": "".join(raw["text"])} if "text" in raw else raw


def _read(raw: dict[str, Any]) -> list[Part]:
    call = raw.get("functionCall")
    if call is not None:
        extra = {name: value for name, value in raw.items() if name != "functionCall"}
        if more := {name: value for name, value in call.items() if name not in {"name", "args"}}:
            extra["functionCall"] = more
        name, text = call["name"], arguments(call.get("args"))
        return [ToolCall(id=call.get("id") or "", name=name, arguments=text, opaque={NAME: extra} if extra else {})]
    extra = {name: value for name, value in raw.items() if name not in {"text", "thought"}}
    if raw.get("thought"):
        # A summary of thoughts tells the model nothing new; only its signature is wanted back.
        return [Thinking(text=raw["text"], opaque={NAME: raw} if extra else {})]
    return [Text(text=raw["text"], opaque={NAME: extra} if extra else {})]


def _continued(messages: list[Message]) -> str:
    """The token with which the newest reply is to be continued."""
    last = messages[-1].parts[-1] if messages and messages[-1].role == "assistant" else None
    return str(last.opaque.get(NAME, {}).get(TOKEN) or "") if isinstance(last, Text) else ""


def _content(message: Message, ids: dict[str, dict[str, Any]], *, signed: bool) -> dict[str, Any]:
    if message.role == "user":
        return {"role": "user", "parts": [_told(part, ids) for part in message.parts]}
    parts = [_said(part) for part in message.parts if TOKEN not in getattr(part, "opaque", {}).get(NAME, {})]
    return {"role": "model", "parts": _signed(parts) if signed else parts}


def _signed(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """*parts* whose first call bears a signature: without one the request would be refused."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and not first.get("thoughtSignature"):
        first["thoughtSignature"] = FOREIGN
    return parts


def _said(part: Part) -> dict[str, Any]:
    extra: dict[str, Any] = {} if isinstance(part, ToolResult) else part.opaque.get(NAME, {})
    if isinstance(part, Thinking):
        return dict(extra)
    if isinstance(part, ToolCall):
        # `tidy` leaves only arguments that are objects.
        call = {"name": _function(part.name), "args": read_object(part.arguments) or {}}
        return {**extra, "functionCall": {**extra.get("functionCall", {}), **call}}
    return {**extra, "text": part.text}


def _told(part: Part, ids: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if not isinstance(part, ToolResult):
        return {"text": part.text} if isinstance(part, Text) else {}
    # An id goes back only if the server gave one: else calls and results belong together by their order.
    given = {name: value for name, value in ids.get(part.call, {}).items() if name == "id"}
    response = {"error" if part.error else "output": part.text}
    return {"functionResponse": {**given, "name": _function(part.name), "response": response}}


def _function(name: str) -> str:
    return name if name[:1].isalpha() or name.startswith("_") else f"_{name}"
