"""What may cross the engine's store: plain JSON data, and our errors as such.

The engine's default is pickle, which runs code for whoever can write the database and writes to the log what it cannot
pickle. This is JSON, bounded, and tells who sent what is not plain.
"""

from __future__ import annotations

import json
import math
from typing import Any

from nightmill.errors import EngineError, NightmillError, from_plain

__all__ = ["LIMIT", "PlainSerializer", "checked", "envelope_of_error", "opened"]

LIMIT = 64 * 1024
"""Longest value, as JSON text: larger bodies are blobs, and their hash travels."""

ERROR = "nightmill.error"
"""The one name in the JSON of an exception that the engine itself stores."""


class PlainSerializer:
    """The engine's serializer: JSON and nothing else."""

    def name(self) -> str:
        """What rows written by it say."""
        return "nightmill_json"

    def serialize(self, data: Any) -> str:
        """JSON text of *data*; an exception becomes its plain form."""
        if isinstance(data, BaseException):
            data = {ERROR: _ours(data).to_plain()}
        return json.dumps(data, separators=(",", ":"), allow_nan=False)

    def deserialize(self, serialized_data: str) -> Any:
        """What `serialize` wrote."""
        found = json.loads(serialized_data)
        if isinstance(found, dict) and found.keys() == {ERROR}:
            return from_plain(found[ERROR])
        return found


def checked(value: Any, *, what: str) -> Any:
    """*value*, if it may cross the store.

    Raises:
        EngineError: If it is not plain JSON data or too large; the message says *what* and where, never the value.
    """
    flaw = _flaw(value, "")
    if flaw:
        raise EngineError(
            f"{what} is not plain data: {flaw}", hint="return only dict, list, str, int, float, bool and None"
        )
    length = len(json.dumps(value, separators=(",", ":")))
    if length > LIMIT:
        raise EngineError(
            f"{what} is {length:,} bytes of JSON, more than {LIMIT:,}", hint="keep it as a blob, return its hash"
        )
    return value


def envelope_of_error(error: NightmillError) -> dict[str, Any]:
    """The envelope of *error*; `opened` raises it again as the class that it was."""
    plain = error.to_plain()
    plain["message"] = plain["message"][: LIMIT // 8]
    return {"error": plain}


def opened(envelope: Any) -> Any:
    """The value in *envelope*.

    Raises:
        NightmillError: The error in it, if it holds one.
    """
    if "error" in envelope:
        raise from_plain(envelope["error"])
    return envelope["value"]


def _ours(error: BaseException) -> NightmillError:
    if isinstance(error, NightmillError):
        return error
    return EngineError(f"{type(error).__name__}: {error}")


def _flaw(value: Any, where: str) -> str:
    place = where or "the value itself"
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return ""
    if kind is float:
        return "" if math.isfinite(value) else f"{place} is {value}"
    if kind is list:
        return next(filter(None, (_flaw(item, f"{where}[{at}]") for at, item in enumerate(value))), "")
    if kind is dict:
        if any(type(name) is not str for name in value):
            return f"{place} has a name that is not a string"
        return next(filter(None, (_flaw(item, f"{where}.{name}") for name, item in value.items())), "")
    return f"{place} is a {kind.__name__}"
