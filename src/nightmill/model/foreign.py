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

from nightmill.model.allowed import FIELDS, INNER, LENGTHS, MESSAGES, OWN_TOOLS, PLACES
from nightmill.model.depth import is_deep
from nightmill.model.ollama import window

__all__ = ["Foreign", "Unfit", "read_foreign"]

DEEPEST = 8
"""Lists of content within content."""
READ = (
    "system", "systemInstruction", "instructions", "tools", "text", "response_format", "output_format", "output_config",
    "format",
)  # fmt: skip
"""Fields that a model reads before the messages."""
MARKED = '"cache_control"'
MARK = re.compile(r'"cache_control":\{[^{}]*\},|,"cache_control":\{[^{}]*\}')
"""What agents move about in a conversation that else stays as it is."""
SIGNS, MOST_SIGNS = b",[{", 1_000_000
"""What each value of JSON but the first comes with: a conversation of a million tokens has less than half as many."""


SAID = frozenset({"role", "type", "id", "status"})
"""What a message has that is only words."""


class Unfit(Exception):
    """The request cannot be passed on; the message says why."""


class Prefix(NamedTuple):
    """What a model reads up to one of the messages: its digest, and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A request that may be passed on.

    Attributes:
        dialect: In which it was asked; a model that is asked in another gets a translation.
        streams: Whether the reply is to come in pieces.
        wanted: Tokens of the reply that it asks for; 0: it does not say.
        prefixes: One for what comes before the messages and one for each message; the last is of all that a model reads.
        keys: The first is the same for requests that are the same conversation with the same tools, however it was cut and
            marked. More are there if it ends with words to go on: of the conversation that was gone on with.
    """

    dialect: str
    body: dict[str, Any]
    streams: bool
    wanted: int
    prefixes: tuple[Prefix, ...]
    keys: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of what a model reads."""
        return self.prefixes[-1].size

    def bounded(self, allowed: int, *, model: str, length: str = "") -> bytes:
        """The body for *model* with a reply of at most *allowed* tokens; *length* is the field that says so if none does."""
        body, (outer, *names) = dict(self.body), LENGTHS[self.dialect]
        if self.dialect in INNER:
            inner = dict(_object(body, outer))
            body[outer] = inner | dict.fromkeys(names, allowed)
            if self.dialect == "ollama":
                body[outer].setdefault("num_ctx", window(self.size, allowed))
        else:
            body |= dict.fromkeys([name for name in (outer, *names) if name in body] or [length or outer], allowed)
        if self.dialect != "gemini":
            body["model"] = model
        return json.dumps(body, separators=(",", ":")).encode()


def read_foreign(body: bytes, *, dialect: str, streams: bool | None = None, go_on: str = "") -> Foreign:
    """Read *body*, as an agent sent it: whatever model it names is not asked.

    *streams* is said where the address says it, and not the body; *go_on* are the words with which an agent is told to go
    on. A body of 30 MiB takes a thread some tenths of a second: to be called off the loop.

    Raises:
        Unfit: If it is no request, or has the provider fetch something.
    """
    plain = _plain(body)
    kept = {name: value for name, value in plain.items() if name in FIELDS[dialect]}
    said = kept.get(MESSAGES[dialect])
    if not isinstance(said, list) and not (dialect == "responses" and isinstance(said, str)):
        raise Unfit("it holds no messages")
    for block in _blocks(said, 0):
        _check(block)
    if "tools" in kept:
        kept["tools"] = _tools(kept["tools"], dialect)
    if dialect in INNER:
        outer = LENGTHS[dialect][0]
        kept[outer] = {name: value for name, value in _object(kept, outer).items() if name in INNER[dialect]}
    return Foreign(
        dialect=dialect,
        body=kept,
        streams=_stream(kept, dialect, said=streams),
        wanted=_wanted(kept, dialect),
        prefixes=tuple(_prefixes(kept, said)),
        keys=_keys(kept, said, dialect, go_on.strip()),
    )


def _plain(body: bytes) -> dict[str, Any]:
    signs = sum(body.count(sign) for sign in SIGNS)
    if signs > MOST_SIGNS:  # 30 MiB of empty lists take a minute and gigabytes
        raise Unfit(f"the body has {signs:,} commas and opening brackets, and at most {MOST_SIGNS:,} are read")
    text = body.decode("utf-8", "replace")
    if is_deep(text):
        raise Unfit("the body nests too deep")
    try:
        plain: Any = json.loads(text)
    except ValueError as error:
        raise Unfit("the body is not JSON") from error
    if not isinstance(plain, dict):
        raise Unfit("the body is no object")
    return plain


def _stream(kept: dict[str, Any], dialect: str, *, said: bool | None) -> bool:
    """Whether the reply is to stream; *kept* says so in its own way from then on."""
    if dialect == "gemini":
        return bool(said)
    kept["stream"] = kept.get("stream", dialect == "ollama") is True
    kept.pop("stream_options", None)
    if dialect == "chat" and kept["stream"]:
        kept["stream_options"] = {"include_usage": True}
    return bool(kept["stream"])


def _wanted(kept: dict[str, Any], dialect: str) -> int:
    outer, *names = LENGTHS[dialect]
    found = _object(kept, outer) if dialect in INNER else kept
    fields = names if dialect in INNER else (outer, *names)
    return min((value for name in fields if (value := _whole(found.get(name)))), default=0)


def _prefixes(kept: dict[str, Any], said: Any) -> Iterator[Prefix]:
    digest, size = b"", 0
    for each in ([kept.get(name) for name in READ], *(said if isinstance(said, list) else [said])):
        piece = _bytes(each)
        digest, size = sha256(digest + piece).digest(), size + len(piece)
        yield Prefix(digest.hex(), size)


def _bytes(value: Any) -> bytes:
    """*value* as JSON without the marks that agents move about."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return (MARK.sub("", text) if MARKED in text else text).encode("utf-8", "replace")


def _keys(kept: dict[str, Any], said: Any, dialect: str, go_on: str) -> tuple[str, ...]:
    """Instructions are left out: they may say what time it is, and which files have changed.

    Before the words to go on an agent may have put some of its own, so all texts at the end may be left out.
    """
    tools = sorted(str(_object(tool, "function").get("name") or tool.get("name")) for tool in _list(kept.get("tools")))
    digest = sha256(json.dumps([dialect, kept.get("stream"), tools]).encode())
    found: list[str] = []
    last = ""
    for message in said if isinstance(said, list) else [said]:
        for whose, what in _atoms(message):
            text = what if isinstance(what, str) and not (set(whose) - SAID or whose.get("role") == "tool") else ""
            found = [*found, digest.hexdigest()] if text else []
            digest.update(sha256(_bytes([whose, what])).digest())
            last = text
    return (digest.hexdigest(), *(reversed(found) if go_on and last == go_on else ()))


def _atoms(message: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """(whose, what) of a message, piece by piece: agents join messages and cut them again. Text is text."""
    if not isinstance(message, dict):
        yield {"role": "user"}, message
        return
    name = next((name for name in ("content", "parts") if name in message), "")
    whose = {field: value for field, value in message.items() if field != name}
    content = message.get(name)
    for piece in content if isinstance(content, list) and content else [content]:
        text = piece.get("text") if isinstance(piece, dict) else piece
        known = not isinstance(piece, dict) or not piece.keys() - {"type", "text", "cache_control"}
        yield whose, text.strip() if isinstance(text, str) and known else piece


def _tools(value: Any, dialect: str) -> list[Any]:
    """The tools that the agent itself, and not the provider, carries out."""
    found = [tool for tool in _list(value) if isinstance(tool, dict)]
    if dialect == "gemini":
        name = "functionDeclarations"
        return [{name: declared} for tool in found if (declared := _list(tool.get(name)))]
    return [tool for tool in found if _own(tool, dialect)]


def _own(tool: dict[str, Any], dialect: str) -> bool:
    kind = tool.get("type", "custom" if dialect == "anthropic" else "")
    return isinstance(kind, str) and kind.startswith(OWN_TOOLS[dialect])


def _blocks(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Every block of content, also one that stands alone; what a model said to a tool is not one."""
    if depth > DEEPEST:
        raise Unfit("its content is nested too deep")
    for block in value if isinstance(value, list) else [value]:
        if isinstance(block, dict):
            yield block
            holders = [block, *(_object(block, name) for name in ("source", "functionResponse", "function_response"))]
            for inner in (holder.get(name) for holder in holders for name in ("content", "output", "parts")):
                yield from _blocks(inner, depth + 1)


def _check(block: dict[str, Any]) -> None:
    """Refuse a block that only says where its content is."""
    holders = (block, _object(block, "source"), _object(block, "file"))
    places = [holder.get(name) for holder in holders for name in PLACES]
    found = [place.get("url") if isinstance(place, dict) else place for place in places]
    files = [holder.get("file_data") for holder in holders]
    away = [each for each in found if isinstance(each, str)]
    away += [each for each in files if isinstance(each, str) and ":" in each]
    away += [each for each in _list(block.get("images")) if isinstance(each, str) and ":" in each]
    stored = block.get("fileData") or isinstance(block.get("file_data"), dict)
    if stored or any(not each.startswith("data:") for each in away):
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
