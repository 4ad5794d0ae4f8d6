"""Requests that a foreign agent made, cut down to what a model answers by itself: nothing in them may reach further.

A provider runs tools of its own, fetches addresses and keeps files if a request says so. Asked from a sandbox, each of
these would be a way out of it that no allowlist knows of. So fields and tools are passed on if they are known to be
harmless, and not unless they are known to harm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

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
PLACES = ("image_url", "file_url", "video_url", "audio_url", "url", "server_url")
READ = ("system", "instructions", "tools", "text", "response_format", "output_format", "output_config")
"""Fields that a model reads before the messages."""
MARK = re.compile(r'"cache_control":\{[^{}]*\},|,"cache_control":\{[^{}]*\}')
"""What agents move about in a conversation that else stays as it is."""


class Unfit(Exception):  # noqa: N818 - it is an answer, not a fault
    """The request cannot be passed on; the message says why."""


class Prefix(NamedTuple):
    """What a model reads up to one of the messages: its digest, and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A request that may be passed on.

    Attributes:
        wanted: Tokens of the reply that it asks for; 0: it does not say.
        prefixes: One for what comes before the messages and one for each message; the last is of all that a model reads.
    """

    dialect: str
    body: dict[str, Any]
    wanted: int
    prefixes: tuple[Prefix, ...]

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
    return Foreign(
        dialect=dialect,
        body=kept,
        wanted=min((value for name in LENGTHS[dialect] if (value := _whole(kept.get(name)))), default=0),
        prefixes=tuple(_prefixes(kept, said)),
    )


def _prefixes(kept: dict[str, Any], said: Any) -> Iterator[Prefix]:
    digest, size = b"", 0
    for each in ([kept.get(name) for name in READ], *(said if isinstance(said, list) else [said])):
        text = json.dumps(each, ensure_ascii=False, separators=(",", ":"))
        piece = MARK.sub("", text).encode("utf-8", "replace")
        digest, size = sha256(digest + piece).digest(), size + len(piece)
        yield Prefix(digest.hex(), size)


def _own(tool: Any, dialect: str) -> bool:
    """Whether the agent itself, and not the provider, carries out *tool*."""
    kind = tool.get("type", "custom" if dialect == "anthropic" else "") if isinstance(tool, dict) else ""
    return isinstance(kind, str) and kind.startswith(OWN_TOOLS[dialect])


def _blocks(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Every block of content, also one that stands alone; what a model said to a tool is not one."""
    if depth > DEEPEST:
        raise Unfit("its content is nested too deep")
    for block in value if isinstance(value, list) else [value]:
        if isinstance(block, dict):
            yield block
            for inner in (block.get("content"), block.get("output"), _object(block, "source").get("content")):
                yield from _blocks(inner, depth + 1)


def _check(block: dict[str, Any]) -> None:
    """Refuse a block that only says where its content is."""
    holders = (block, _object(block, "source"), _object(block, "file"))
    places = [holder.get(name) for holder in holders for name in PLACES]
    found = [place.get("url") if isinstance(place, dict) else place for place in places]
    files = [holder.get("file_data") for holder in holders]
    away = [each for each in found if isinstance(each, str)]
    away += [each for each in files if isinstance(each, str) and ":" in each]
    if any(not each.startswith("data:") for each in away):
        raise Unfit("content that the provider would have to fetch is not passed on: send it inline")
    if any(holder.get("file_id") for holder in holders):
        raise Unfit("files that the provider keeps are not the agent's: send them inline")


def _object(block: dict[str, Any], name: str) -> dict[str, Any]:
    value = block.get(name)
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
