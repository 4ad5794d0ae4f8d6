"""Ollama's own chat API: whole tool calls, one line of JSON after the other, no ids."""

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
    Usage,
)
from nightmill.model.problem import from_event
from nightmill.model.schema import OLLAMA, subset

__all__ = ["Ollama", "window"]

NAME = "ollama"
LEAST_WINDOW, LARGEST_WINDOW = 1 << 14, 1 << 20
STOPS: dict[str, Stop] = {"stop": "end", "length": "length", "load": "again", "unload": "again"}


class Ollama:
    """`/api/chat` of an Ollama server."""

    name = NAME
    path = "/api/chat"

    def headers(self, key: str) -> dict[str, str]:
        """The key as a bearer token, which only the cloud wants."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """A request that names its window: the server's own is a few thousand tokens, and it cuts silently.

        `truncate` and `shift` ask newer servers to refuse what does not fit instead.
        """
        messages: list[dict[str, Any]] = []
        if system := "\n\n".join(text for text in request.system if text.strip()):
            messages.append({"role": "system", "content": system})
        for message in with_tail(tidy(request.messages, dialect=NAME), request.tail):
            messages += [_assistant(message)] if message.role == "assistant" else _user(message)
        tools = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": subset(tool.parameters, OLLAMA),
                },
            }
            for tool in request.tools
        ]
        size = window(len(str(messages)) + len(str(tools)), request.max_tokens)
        return {
            "model": request.model,
            "messages": messages,
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": {"num_ctx": size, "num_predict": request.max_tokens},
            **({"tools": tools} if tools else {}),
            **({"think": True} if request.thinking else {}),
        }

    def reading(self) -> OllamaReading:
        """A fresh reader of one reply."""
        return OllamaReading()


def window(characters: int, most: int) -> int:
    """Tokens of context for a prompt of so many *characters* (three to a token) and *most* tokens of reply.

    In powers of two, because another size loads the model anew.
    """
    need, size = characters // 3 + most, LEAST_WINDOW
    while size < min(need, LARGEST_WINDOW):
        size *= 2
    return size


class OllamaReading:
    """Text and calls in the order of arrival."""

    __slots__ = ("_calls", "_last", "_text", "_thinking", "complete", "over")

    def __init__(self) -> None:
        self.complete = self.over = False
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []
        self._last: dict[str, Any] = {}

    def feed(self, event: dict[str, Any]) -> tuple[Piece, ...]:
        """Take one line in."""
        if error := event.get("error"):
            raise from_event(error)
        if self.over:
            return NOTHING
        message = event.get("message") or {}
        pieces: list[Piece] = []
        for name, kind, kept in (("thinking", "thinking", self._thinking), ("content", "text", self._text)):
            if text := message.get(name):
                kept.append(text)
                pieces.append((kind, text))
        for call in message.get("tool_calls") or ():
            function = call["function"]
            raw = arguments(function.get("arguments"))
            self._calls.append(ToolCall(id=call.get("id") or "", name=function["name"], arguments=raw))
            pieces += [("tool", function["name"]), ("tool_call", raw)]
        if event.get("done"):
            self._last = event
            self.complete = self.over = True
        return tuple(pieces)

    def reply(self) -> ModelReply:
        """The reply: reasoning, text, then the calls."""
        parts: list[Part] = []
        if text := "".join(self._thinking):
            parts.append(Thinking(text=text, opaque={NAME: {"thinking": text}}))
        parts += words("".join(self._text))
        parts += self._calls
        reason = self._last.get("done_reason") or "stop"
        return ModelReply(
            parts=tuple(parts),
            stop=settle(parts, STOPS.get(reason, "end")),
            raw_stop=reason,
            usage=Usage(input=count(self._last, "prompt_eval_count"), output=count(self._last, "eval_count")),
            model=self._last.get("model") or "",
        )


def _assistant(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": "assistant", "content": _text(message)}
    if thought := "".join(part.opaque[NAME]["thinking"] for part in message.parts if isinstance(part, Thinking)):
        made["thinking"] = thought
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if calls:
        made["tool_calls"] = [
            # `tidy` leaves only arguments that are objects.
            {"function": {"name": call.name, "arguments": read_object(call.arguments) or {}}}
            for call in calls
        ]
    return made


def _user(message: Message) -> list[dict[str, Any]]:
    made = [
        # Neither ids nor a flag for errors.
        {"role": "tool", "tool_name": part.name, "content": f"Error: {part.text}" if part.error else part.text}
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    text = _text(message)
    return [*made, {"role": "user", "content": text}] if text else made


def _text(message: Message) -> str:
    return "\n\n".join(part.text for part in message.parts if isinstance(part, Text))
