"""The nouns of a conversation with a model, the same for every provider.

Plain frozen values: they are what the ledger's records hold and what requests are rebuilt from, so a field is
only ever added. What a provider needs back unchanged (signatures, encrypted reasoning, ids) travels in `opaque`
and is dropped when the next request goes to another provider.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Message",
    "ModelReply",
    "ModelRequest",
    "Part",
    "Stop",
    "Text",
    "Thinking",
    "ToolCall",
    "ToolResult",
    "ToolSchema",
    "Usage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words for the other side."""

    text: str
    kind: Literal["text"] = "text"
    opaque: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """The model's reasoning, as far as the provider shows it; sent back unchanged and in order.

    *opaque* holds the provider's own block or item, under the name of the dialect that made it.
    """

    text: str
    opaque: dict[str, Any] = field(default_factory=dict)
    kind: Literal["thinking"] = "thinking"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model wants a tool. *arguments* is its raw text, JSON or not: nobody repairs it silently.

    *written* tells how it was found if it was no call of the provider's: "text": the model wrote it into its text;
    "quoted": there, but perhaps as a quotation, so it is not to be run.
    """

    id: str
    name: str
    arguments: str
    kind: Literal["tool_call"] = "tool_call"
    opaque: dict[str, Any] = field(default_factory=dict)
    written: Literal["", "text", "quoted"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool call gave. *error* says that the call itself was wrong, not that a command exited non-zero."""

    call: str
    name: str
    text: str
    error: bool = False
    ref: str = ""
    """Names the whole text where *text* is a part of it."""
    kind: Literal["tool_result"] = "tool_result"


Part = Text | Thinking | ToolCall | ToolResult

Stop = Literal["tools", "end", "length", "refused", "again", "chant"]
"""Why a reply ended, in one vocabulary (notes on the dialects: docs/concepts/model.md); "chant": we cut it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One side's turn. Tool results are the first parts of a user message."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A tool as the model sees it; *parameters* is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One question to a model.

    Cache marks are explicit: adapters that need marks set them on the last tool, on the last system text and on
    the last two user messages, so the prefix before them must be the same bytes from turn to turn. What changes with
    each turn is the *tail*, behind all marks.

    Attributes:
        model: The provider's own name of the model.
        system: Instructions, stable texts first; each is a block of its own.
        max_tokens: Bound on the reply, thinking included.
        thinking: Budget for reasoning in tokens; 0: none asked for.
        conversation: Key that keeps requests of one conversation on one cache.
        tail: Words of the system for this turn only: the last text of the newest user message, never kept in history.
            Left out where the model itself spoke last, because then it goes on with what it said.
    """

    model: str
    system: tuple[str, ...]
    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    max_tokens: int = 8192
    thinking: int = 0
    conversation: str = ""
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one reply. *input* is the total, cached tokens included; *output* includes *reasoning*."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """A complete reply.

    Attributes:
        parts: In the order of the provider's own index, not of arrival.
        stop: "tools" whenever there are tool calls in a reply that was not cut off, whatever the provider says.
        by: The name by which the operator knows the model, whatever the provider calls it.
        raw_stop: The provider's own word.
        cost: US dollars, None if the model's price is unknown.
        first_seconds: From the request to the first part of the reply that counted.
        seconds: From the request to its terminal event, without earlier attempts.
    """

    parts: tuple[Part, ...]
    stop: Stop
    usage: Usage
    model: str
    id: str = ""
    by: str = ""
    raw_stop: str = ""
    cost: float | None = None
    first_seconds: float = 0.0
    seconds: float = 0.0
    sent: str = ""
    """SHA-256 of the request's body as it was sent, so that a request that is rebuilt can be compared."""
    asked: int = 0
    """The bound on this reply in tokens, as the request had it."""

    @property
    def text(self) -> str:
        """All text parts joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))
