"""What the store keeps, as people may read it: without secrets, those that are known and what looks like one.

The store keeps what a model has written as it was, so that it can be asked again with the very same; of what looks like a
secret in it, people see as little afterwards as while it was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from nightmill.model.history import read_object

if TYPE_CHECKING:
    from nightmill.desk.door import Door

__all__ = ["blob", "body", "sent"]

RECORD = ("turn", "reply", "messages")
"""What the record of a turn has, and no output of a command."""

GIVEN = frozenset({"input", "args"})
"""What a call of a tool was given, in dialects that have it as an object."""
GOES_BY = frozenset(
    {"id", "call_id", "tool_use_id", "tool_call_id", "item_id", "signature", "thoughtSignature", "encrypted_content"}
)
"""Strings of a request that its maker or provider made, and no model: long and random, and no secrets."""

Hide = Callable[[str], str]


def blob(door: Door) -> Callable[[str], bytes]:
    """What reads a large body by its hash, for people."""
    return partial(body, door)


def body(door: Door, digest: str) -> bytes:
    """The body whose hash is *digest*; of the record of a turn all that was said, called and given back.

    Raises:
        EngineError: If it is missing or is not what was put.
    """
    kept, hide = door.blobs.get(digest), door.hidden.text
    record = read_object(kept.decode("utf-8", "replace")) if kept.startswith(b"{") else None
    if record is not None and all(name in record for name in RECORD):
        return json.dumps(_told(record, hide)).encode()
    return hide(kept.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def sent(door: Door, body: str) -> str:
    """The *body* of a request to a model, whichever dialect it is in; as it is, if nothing in it looks like a secret."""
    hide = door.hidden.text
    plain = read_object(body)
    if plain is None:
        return hide(body)
    told = _sent(plain, hide)
    return body if told == plain else json.dumps(told, separators=(",", ":"))


def _sent(value: Any, hide: Hide, *, name: str = "") -> Any:
    """A part of a request with what is words in it hidden, and what it goes by as it is."""
    if isinstance(value, dict):
        return (
            _given(value, hide) if name in GIVEN else {key: _sent(each, hide, name=key) for key, each in value.items()}
        )
    if isinstance(value, list):
        return [_sent(each, hide, name=name) for each in value]
    if not isinstance(value, str) or name in GOES_BY:
        return value
    given = read_object(value) if name == "arguments" else None
    return hide(value) if given is None else json.dumps(_given(given, hide))


def _told(value: Any, hide: Hide, *, name: str = "") -> Any:
    """A record with what is words in it hidden, and what it goes by as it is."""
    if isinstance(value, dict):
        return {key: _told(each, hide, name=key) for key, each in value.items()}
    if isinstance(value, list):
        return [_told(each, hide, name=name) for each in value]
    if name == "arguments" and isinstance(value, str):
        given = read_object(value)
        return hide(value) if given is None else json.dumps(_given(given, hide))
    return hide(value) if name == "text" and isinstance(value, str) else value


def _given(value: Any, hide: Hide, *, name: str = "") -> Any:
    """What was given to a tool: the name of a value may tell that it is a secret."""
    if isinstance(value, dict):
        return {hide(key): _given(each, hide, name=key) for key, each in value.items()}
    if isinstance(value, list):
        return [_given(each, hide, name=name) for each in value]
    if not isinstance(value, str):
        return value
    named = f"{name}="
    return hide(hide(f"{named}{value}").removeprefix(named)) if hide(named) == named else hide(value)
