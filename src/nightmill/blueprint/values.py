"""Whether a value is of a shape, when it is there."""

from __future__ import annotations

from typing import Any

from nightmill.blueprint.shapes import Shape

__all__ = ["amiss"]

MOST_SAID = 200


def amiss(value: Any, shape: Shape) -> str:
    """What of *value*, plain JSON, is not as *shape* says: the first place and why; "" if all of it is."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only what is handed from step to step needs it

    found = min(Draft202012Validator(dict(shape)).iter_errors(value), key=lambda error: len(error.path), default=None)
    if found is None:
        return ""
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in found.absolute_path)
    said = found.message if len(found.message) <= MOST_SAID else f"{found.message[: MOST_SAID - 1]}…"
    return f"{place.removeprefix('.')}: {said}" if place else said
