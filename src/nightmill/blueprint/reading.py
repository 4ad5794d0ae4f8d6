"""From a file's text to a blueprint, with the line of every mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nightmill.blueprint.mistakes import OURS, known, shapeless
from nightmill.blueprint.nouns import Blueprint
from nightmill.errors import SettingsError
from nightmill.written import Lines, Written, compose, values

__all__ = ["LARGEST", "parse", "places", "schema"]

LARGEST = 256 << 10
DEEPEST = 24


@cache
def _adapter() -> TypeAdapter[Blueprint]:
    return TypeAdapter(Blueprint)


@lru_cache(maxsize=256)  # a catalogue is asked for each run, and its files hardly ever change
def parse(body: bytes, *, source: str) -> Blueprint:
    """The blueprint that the bytes of the file *source* describe; whether it makes sense is for `check.faults`.

    Raises:
        SettingsError: If it has not the shape of one; the message names the line.
    """
    written = _written(body, source)
    if not isinstance(written.value, dict):
        raise SettingsError(
            f"{source}:1: a blueprint is a mapping of names to values", hint="see `blueprint show quick`"
        )
    _placed(written.value, written.lines, (), source)
    digest = hashlib.sha256(body).hexdigest()
    try:
        return _adapter().validate_python({**written.value, "source": source, "digest": digest})
    except ValidationError as error:
        raise shapeless(error.errors(), written, source) from None


def places(body: bytes, *, source: str) -> Mapping[str, int]:
    """The line of each input, output, and key of a step in the file of a blueprint, as `Fault.at` names it."""
    written = _written(body, source)
    return {name: line for way, line in written.lines.items() if (name := _name(way, written.value))}


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
        said = f"{source}:{lines[*way, key]}: unknown key {key!r}"
        raise SettingsError(said, hint=f"known keys: {', '.join(known(value, way))}")
    steps = value.get("steps") if isinstance(value, dict) else None
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, dict):
            _placed(step, lines, (*way, "steps", index), source)
            step["line"] = lines[*way, "steps", index]


def _written(body: bytes, source: str) -> Written:
    return values(compose(body, name=source, largest=LARGEST, deepest=DEEPEST), name=source)


def _name(way: tuple[str | int, ...], value: Any) -> str:
    """What *way* leads to in the file that holds *value*: `inputs.NAME`, `outputs.NAME` or `steps.ID.KEY`."""
    step = ""
    while way[:1] == ("steps",) and len(way) > 1:
        value = value["steps"][way[1]]
        step, way = f"steps.{value['id']}.", way[2:]
    return step + ".".join(map(str, way)) if way else ""
