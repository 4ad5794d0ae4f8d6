"""From a file's text to a blueprint, with the line of every mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nightmill.blueprint.nouns import KINDS, Blueprint
from nightmill.blueprint.shapes import meant
from nightmill.errors import SettingsError
from nightmill.written import Lines, compose, values

__all__ = ["LARGEST", "parse", "schema"]

LARGEST = 256 << 10
DEEPEST = 24
OURS = frozenset({"source", "digest", "line"})
"""Keys of the values that no file has."""
COMMON = ("id", "title", "when", "may_fail")


@cache
def _adapter() -> TypeAdapter[Blueprint]:
    return TypeAdapter(Blueprint)


@lru_cache(maxsize=256)  # a catalogue is asked for each run, and its files hardly ever change
def parse(body: bytes, *, source: str) -> Blueprint:
    """The blueprint that the bytes of the file *source* describe; whether it makes sense is for `check.faults`.

    Raises:
        SettingsError: If it has not the shape of one; the message names the line.
    """
    written = values(compose(body, name=source, largest=LARGEST, deepest=DEEPEST), name=source)
    if not isinstance(written.value, dict):
        raise SettingsError(
            f"{source}:1: a blueprint is a mapping of names to values", hint="see `blueprint show quick`"
        )
    _placed(written.value, written.lines, (), source)
    digest = hashlib.sha256(body).hexdigest()
    try:
        return _adapter().validate_python({**written.value, "source": source, "digest": digest})
    except ValidationError as error:
        raise _fault(error.errors()[0], written.value, written.lines, source) from None


def schema() -> dict[str, Any]:
    """The JSON schema of blueprint files, for editors."""
    found = _adapter().json_schema()
    for each in (found, *found["$defs"].values()):
        for key in OURS:
            each.get("properties", {}).pop(key, None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nightmill blueprint", **found}


def _placed(value: Any, lines: Lines, way: tuple[str | int, ...], source: str) -> None:
    """Give every step of *value* its line, and refuse keys that are ours to set."""
    own = OURS if not way or way[-2:-1] == ("steps",) else frozenset()
    for key in own & value.keys() if isinstance(value, dict) else ():
        raise SettingsError(f"{source}:{lines[*way, key]}: unknown key {key!r}", hint=_known(value, top=not way))
    steps = value.get("steps") if isinstance(value, dict) else None
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, dict):
            _placed(step, lines, (*way, "steps", index), source)
            step["line"] = lines[*way, "steps", index]


def _fault(error: Mapping[str, Any], value: Any, lines: Lines, source: str) -> SettingsError:
    """*error* in words, with the line of what it is about."""
    way: list[str | int] = []
    at: Any = value
    holder: Any = value
    for before, name in pairwise((*([""] * 2), *error["loc"])):
        if isinstance(before, int) and way[-2:] == ["steps", before]:
            continue  # which kind of step it was taken for, no part of the way
        if (isinstance(at, dict) and name in at) or (isinstance(at, list) and isinstance(name, int)):
            way.append(name)
            holder, at = at, at[name]
    line = next(lines[tuple(way[:size])] for size in range(len(way), -1, -1) if tuple(way[:size]) in lines)
    last = str(error["loc"][-1]) if error["loc"] else ""
    place = f"{source}:{line}: "
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            known = _keys(holder, top=len(way) == 1)
            return SettingsError(
                f"{place}unknown key {last!r}{meant(last, known)}", hint=_known(holder, top=len(way) == 1)
            )
        case "missing" | "missing_argument":
            return SettingsError(f"{place}the key {last!r} is missing", hint=_known(at, top=not way))
        case "union_tag_invalid" | "union_tag_not_found":
            found = [key for key in KINDS if isinstance(at, dict) and key in at]
            said = f"is both {' and '.join(map(repr, found))}" if found else "says not what it does"
            return SettingsError(f"{place}the step {said}", hint=f"exactly one of: {', '.join(KINDS)}")
    return SettingsError(f"{place}{last!r}: {error['msg']}", hint="see docs/concepts/blueprint.md for its form")


def _keys(at: Any, *, top: bool) -> tuple[str, ...]:
    if top:
        return tuple(key for key in Blueprint.__dataclass_fields__ if key not in OURS)
    kind = next((key for key in KINDS if isinstance(at, dict) and key in at), "")
    return tuple(key for key in KINDS[kind].__dataclass_fields__ if key not in OURS) if kind else (*COMMON, *KINDS)


def _known(at: Any, *, top: bool) -> str:
    return f"known keys: {', '.join(_keys(at, top=top))}"
