"""Whether a value is what somebody takes, when it is there."""

from __future__ import annotations

import re
from typing import Any

from nightmill.blueprint.nouns import Input
from nightmill.blueprint.shapes import Shape

__all__ = ["amiss", "misfit"]

MOST_SAID = 200
KINDS: dict[str, tuple[type, ...]] = {"number": (int, float), "boolean": (bool,), "list": (list,), "object": (dict,)}
"""What an input of each type is; any other is a text."""
WORDS = {
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "object": 'a mapping, such as {"name": "value"}',
}


def amiss(value: Any, shape: Shape) -> str:
    """What of *value*, plain JSON, is not as *shape* says: the first place and why; "" if all of it is."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only what is handed from step to step needs it

    found = min(Draft202012Validator(dict(shape)).iter_errors(value), key=lambda error: len(error.path), default=None)
    if found is None:
        return ""
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in found.absolute_path)
    said = found.message if len(found.message) <= MOST_SAID else f"{found.message[: MOST_SAID - 1]}…"
    return f"{place.removeprefix('.')}: {said}" if place else said


def misfit(value: Any, wanted: Input) -> str:
    """Why *value* is none that *wanted* takes, in a few words; "" if it is."""
    if not isinstance(value, KINDS.get(wanted.type, (str,))) or (wanted.type == "number" and isinstance(value, bool)):
        return f"it must be {WORDS.get(wanted.type, 'a text')}"
    if wanted.choices and value not in wanted.choices:
        return f"it must be one of {', '.join(wanted.choices)}"
    if wanted.pattern and isinstance(value, str) and not re.fullmatch(wanted.pattern, value):
        return f"it must match {wanted.pattern}"
    if (
        wanted.type == "path"
        and isinstance(value, str)
        and (value.startswith(("/", "~", "-")) or ".." in value.split("/"))
    ):
        return "it must be a path within the repository"
    return ""
