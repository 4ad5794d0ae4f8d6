"""OpenAI Chat Completions, and the many servers that are more or less compatible with it."""

from __future__ import annotations

from typing import Any

from nightmill.model.dialect import NOTHING, Piece, arguments, count, settle, words
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
    ToolSchema,
    Usage,
)
from nightmill.model.problem import from_event
from nightmill.model.schema import strict

__all__ = ["Chat", "effort", "function"]

NAME = "chat"
REASONING = ("reasoning_content", "reasoning")
"""Not standard: DeepSeek and older vLLM send the first, Ollama, OpenRouter and newer vLLM the second, some both."""

STOPS: dict[str, Stop] = {
    "stop": "end",
    "tool_calls": "tools",
    "function_call": "tools",
    "length": "length",
    "content_filter": "refused",
}


class Chat:
    """The Chat Completions API.

    A *compatible* server gets `max_tokens`, none of the fields that only OpenAI knows, and is believed when it ends
    with `[DONE]` without a finish reason, provided that its tool calls are whole.
    """

    name = NAME
    path = "/chat/completions"

    def __init__(self, *, compatible: bool) -> None:
        self.compatible = compatible

    def headers(self, key: str) -> dict[str, str]:
        """The key as a bearer token."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """A request; the cache is automatic, the conversation's key keeps it in one place."""
        messages: list[dict[str, Any]] = []
        if system := "\n\n".join(text for text in request.system if text.strip()):
            # Strict servers take one system message, in front.
            messages.append({"role": "system", "content": system})
        for message in with_tail(tidy(request.messages, dialect=NAME), request.tail):
            messages += [_assistant(message)] if message.role == "assistant" else _user(message)
        limit = "max_tokens" if self.compatible else "max_completion_tokens"
        body: dict[str, Any] = {
            "model": request.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True} | ({} if self.compatible else {"include_obfuscation": False}),
            limit: request.max_tokens,
        }
        if request.tools:
            body["tools"] = [
                {"type": "function", "function": function(tool, compatible=self.compatible)} for tool in request.tools
            ]
        if request.conversation:
            body["prompt_cache_key"] = request.conversation
        if request.thinking and not self.compatible:
            body["reasoning_effort"] = effort(request.thinking)
        return body

    def reading(self) -> ChatReading:
        """A fresh reader of one reply."""
        return ChatReading(compatible=self.compatible)


def function(tool: ToolSchema, *, compatible: bool) -> dict[str, Any]:
    """A tool as OpenAI has it: strict where its schema can be, which only OpenAI itself is sure to know."""
    closed = None if compatible else strict(tool.parameters)
    made = {"name": tool.name, "description": tool.description, "parameters": closed or tool.parameters}
    return made if compatible else {**made, "strict": closed is not None}


def effort(budget: int) -> str:
    """A budget of reasoning tokens in OpenAI's three words."""
    return "low" if budget <= 4096 else "medium" if budget <= 16384 else "high"  # the words' scale


class ChatReading:
    """Text and calls as they fill; nothing in a chunk is relied on to be there."""

    __slots__ = (
        "_calls", "_compatible", "_finish", "_id", "_latest", "_model", "_reasoning", "_refusal", "_text", "_usage",
        "complete", "over",
    )  # fmt: skip

    def __init__(self, *, compatible: bool) -> None:
        self.complete = self.over = False
        self._compatible = compatible
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: dict[str, list[str]] = {}
        self._calls: list[dict[str, Any]] = []
        self._latest: dict[Any, dict[str, Any]] = {}
        self._usage: dict[str, Any] = {}
        self._id = self._model = self._finish = ""

    def feed(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        """Take one chunk in. The usage follows the finish reason, so the reply is over only at `[DONE]`."""
        if event.get("error"):
            raise from_event(event["error"])
        if event.get("type") == "[DONE]":
            self.over = True
            self.complete = self.complete or (self._compatible and self._whole())
            return NOTHING
        self._id, self._model = event.get("id") or self._id, event.get("model") or self._model
        self._usage = event.get("usage") or self._usage
        pieces: list[Piece] = []
        for choice in event.get("choices") or ():
            self._usage = choice.get("usage") or self._usage
            pieces += self._delta(choice.get("delta") or {})
            if finish := choice.get("finish_reason"):
                if finish == "error":
                    raise from_event(choice.get("error") or "the server gave up")
                self._finish, self.complete = finish, True
        return tuple(pieces)

    def reply(self) -> ModelReply:
        """The reply: reasoning, text, then the calls in the order of their index."""
        parts: list[Part] = []
        shown = next((name for name in (*REASONING, "content") if self._reasoning.get(name)), "")
        if shown:
            text = "".join(self._reasoning[shown])
            parts.append(Thinking(text=text, opaque={} if shown == "content" else {NAME: {shown: text}}))
        parts += words("".join(self._text))
        parts += words("".join(self._refusal))
        parts += [_call(call) for call in sorted(self._calls, key=lambda call: call["at"])]
        stop: Stop = "refused" if self._refusal else STOPS.get(self._finish, "end")
        return ModelReply(
            parts=tuple(parts),
            stop=settle(parts, stop),
            raw_stop=self._finish,
            usage=_usage(self._usage),
            model=self._model,
            id=self._id,
        )

    def _delta(self, delta: dict[str, Any]) -> list[Piece]:
        pieces: list[Piece] = []
        for name in REASONING:
            if text := delta.get(name):
                self._reasoning.setdefault(name, []).append(text)
                pieces.append(("thinking", text))
        content = delta.get("content")
        for kind, text in _content(content) if content else ():
            (self._text if kind == "text" else self._reasoning.setdefault("content", [])).append(text)
            pieces.append((kind, text))
        if refusal := delta.get("refusal"):
            self._refusal.append(refusal)
            pieces.append(("text", refusal))
        for fragment in delta.get("tool_calls") or ():
            pieces += self._fragment(fragment)
        return pieces

    def _fragment(self, fragment: dict[str, Any]) -> list[Piece]:
        function, begun = fragment.get("function") or {}, len(self._calls)
        call = self._find(fragment, function)
        for name, value in fragment.items():
            if name not in {"index", "id", "type", "function"}:
                call["extra"][name] = value
        call["id"] = call["id"] or fragment.get("id") or ""
        call["name"] = call["name"] or function.get("name") or ""
        found: list[Piece] = [("tool", call["name"])] if len(self._calls) > begun else []
        piece = function.get("arguments")
        if piece is None:
            return found
        text = piece if isinstance(piece, str) else arguments(piece)
        call["arguments"].append(text)
        return [*found, ("tool_call" if call is self._calls[-1] else "aside", text)]

    def _find(self, fragment: dict[str, Any], function: dict[str, Any]) -> dict[str, Any]:
        """The call that *fragment* goes on with: by index, else by id, else the latest one if it names none."""
        index, id_, name = fragment.get("index"), fragment.get("id") or "", function.get("name")
        key: Any = index if isinstance(index, int) else id_
        found = self._latest.get(key)
        if key == "":
            found = self._calls[-1] if self._calls and not name else None
        elif found and name and id_ and found["id"] and id_ != found["id"]:
            # Some servers give each call the index 0.
            found = None
        if found is None:
            at = index if isinstance(index, int) else len(self._calls)
            found = {"at": at, "id": "", "name": "", "arguments": [], "extra": {}}
            self._calls.append(found)
            self._latest[key] = found
        return found

    def _whole(self) -> bool:
        said = bool(self._text or self._refusal or self._calls or self._reasoning)
        return said and all(read_object("".join(call["arguments"]) or "{}") is not None for call in self._calls)


def _content(content: Any) -> list[Piece]:
    if isinstance(content, str):
        return [("text", content)]
    pieces: list[Piece] = []
    for part in content:
        if part.get("type") == "thinking":
            inner = part.get("thinking") or ()
            pieces += [("thinking", text) for _, text in _content(inner)]
        elif isinstance(part.get("text"), str):
            pieces.append(("text", part["text"]))
    return pieces


def _call(call: dict[str, Any]) -> ToolCall:
    raw = arguments("".join(call["arguments"]))
    return ToolCall(
        id=call["id"], name=call["name"], arguments=raw, opaque={NAME: call["extra"]} if call["extra"] else {}
    )


def _usage(usage: dict[str, Any]) -> Usage:
    cached = (("prompt_tokens_details", "cached_tokens"), ("prompt_cache_hit_tokens",), ("cached_tokens",))
    return Usage(
        input=count(usage, "prompt_tokens"),
        cache_read=max(count(usage, *path) for path in cached),
        cache_write=count(usage, "prompt_tokens_details", "cache_write_tokens"),
        output=count(usage, "completion_tokens"),
        reasoning=count(usage, "completion_tokens_details", "reasoning_tokens"),
    )


def _assistant(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": "assistant", "content": _text(message.parts) or None}
    calls = []
    for part in message.parts:
        if isinstance(part, Thinking):
            for name, text in part.opaque[NAME].items():
                made[name] = made.get(name, "") + text
        elif isinstance(part, ToolCall):
            function = {"name": part.name, "arguments": part.arguments}
            calls.append({**part.opaque.get(NAME, {}), "id": part.id, "type": "function", "function": function})
    return made | ({"tool_calls": calls} if calls else {})


def _user(message: Message) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        # There is no flag for errors.
        {"role": "tool", "tool_call_id": part.call, "content": f"Error: {part.text}" if part.error else part.text}
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    text = _text(message.parts)
    return [*made, {"role": "user", "content": text}] if text else made


def _text(parts: tuple[Part, ...]) -> str:
    return "\n\n".join(part.text for part in parts if isinstance(part, Text))
