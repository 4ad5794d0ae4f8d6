"""Requests that a foreign agent made, cut down to what a model answers by itself: nothing in them may reach further.

A provider runs tools of its own, fetches addresses and keeps files if a request says so. Asked from a sandbox, each of
these would be a way out of it that no allowlist knows of. So fields and tools are passed on if they are known to be
harmless, and not unless they are known to harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

__all__ = ["Foreign", "Unfit", "read_foreign"]

FIELDS = {
    "anthropic": frozenset({
        "cache_control", "context_management", "max_tokens", "messages", "metadata", "model", "output_config",
        "output_format", "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice", "tools",
        "top_k", "top_p",
    }),
    "chat": frozenset({
        "frequency_penalty", "logit_bias", "max_completion_tokens", "max_tokens", "messages", "model",
        "parallel_tool_calls", "presence_penalty", "prompt_cache_key", "reasoning", "reasoning_effort",
        "response_format", "seed", "stop", "stream", "stream_options", "temperature", "thinking", "tool_choice", "tools",
        "top_p", "user", "verbosity",
    }),
    "responses": frozenset({
        "include", "input", "instructions", "max_output_tokens", "metadata", "model", "parallel_tool_calls",
        "prompt_cache_key", "reasoning", "safety_identifier", "store", "stream", "temperature", "text", "tool_choice",
        "tools", "top_p", "truncation", "user",
    }),
}  # fmt: skip
"""What is passed on, by the dialect's name. `n`, `service_tier` and `background` would change what a reply costs."""

OWN_TOOLS = {
    "anthropic": ("custom", "bash_", "text_editor_", "computer_", "memory_"),
    "chat": ("function", "custom"),
    "responses": ("function", "custom", "local_shell", "apply_patch"),
}
"""How the kinds of tools begin that the agent carries out itself."""

LENGTHS = {
    "anthropic": ("max_tokens",),
    "chat": ("max_completion_tokens", "max_tokens"),
    "responses": ("max_output_tokens",),
}
DEEPEST = 8
"""Lists of content within content."""


class Unfit(Exception):  # noqa: N818 - it is an answer, not a fault
    """The request cannot be passed on; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A request that may be passed on.

    Attributes:
        wanted: Tokens of the reply that it asks for; 0: it does not say.
        start: A digest of how its conversation begins: equal ones are likely the same conversation, further on.
        size: Bytes that the agent sent.
    """

    dialect: str
    body: dict[str, Any]
    wanted: int
    start: str
    size: int

    @property
    def streams(self) -> bool:
        """Whether the reply is to come in pieces."""
        return self.body["stream"] is True

    def bounded(self, allowed: int, *, length: str) -> bytes:
        """The body with a reply of at most *allowed* tokens; *length* is the field that says so if none does."""
        fields = [name for name in LENGTHS[self.dialect] if name in self.body] or [length]
        return json.dumps(self.body | dict.fromkeys(fields, allowed), separators=(",", ":")).encode()


def read_foreign(body: bytes, *, dialect: str, model: str) -> Foreign:
    """Read *body*, as an agent sent it, for *model*: whatever model it names, that one is asked.

    Raises:
        Unfit: If it is no request, or has the provider fetch something.
    """
    try:
        plain: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unfit("the body is not JSON") from error
    if not isinstance(plain, dict):
        raise Unfit("the body is no object")
    kept = {name: value for name, value in plain.items() if name in FIELDS[dialect]}
    said = kept.get("input" if dialect == "responses" else "messages")
    if not isinstance(said, list) and not (dialect == "responses" and isinstance(said, str)):
        raise Unfit("it holds no messages")
    for block in _blocks(said, 0):
        _check(block)
    if "tools" in kept:
        kept["tools"] = [tool for tool in _list(kept["tools"]) if _own(tool, dialect)]
    kept |= {"model": model, "stream": kept.get("stream") is True}
    kept.pop("stream_options", None)
    if dialect == "chat" and kept["stream"]:
        kept["stream_options"] = {"include_usage": True}
    first = said[:1] if isinstance(said, list) else said
    return Foreign(
        dialect=dialect,
        body=kept,
        wanted=min((value for name in LENGTHS[dialect] if (value := _whole(kept.get(name)))), default=0),
        start=sha256(
            repr((kept.get("system"), kept.get("instructions"), first)).encode("utf-8", "replace")
        ).hexdigest(),
        size=len(body),
    )


def _own(tool: Any, dialect: str) -> bool:
    """Whether the agent itself, and not the provider, carries out *tool*."""
    kind = tool.get("type", "custom" if dialect == "anthropic" else "") if isinstance(tool, dict) else ""
    return isinstance(kind, str) and kind.startswith(OWN_TOOLS[dialect])


def _blocks(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Every block of content; what a model said to a tool is not one."""
    if depth > DEEPEST:
        raise Unfit("its content is nested too deep")
    for block in value if isinstance(value, list) else ():
        if isinstance(block, dict):
            yield block
            for name in ("content", "output"):
                yield from _blocks(block.get(name), depth + 1)


def _check(block: dict[str, Any]) -> None:
    """Refuse a block that only says where its content is."""
    source = block.get("source")
    places = [block.get(name) for name in ("image_url", "file_url", "video_url", "audio_url", "url", "server_url")]
    places += [source.get("url")] if isinstance(source, dict) else []
    for place in places:
        found = place.get("url") if isinstance(place, dict) else place
        if isinstance(found, str) and not found.startswith("data:"):
            raise Unfit("content that the provider would have to fetch is not passed on: send it inline")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
