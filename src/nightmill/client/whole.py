"""JSON of a server to whole values, with all that is in them: what is not as it should be is said, and not guessed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from nightmill.errors import EngineError

__all__ = ["told"]

T = TypeVar("T")

adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def told(kind: type[T], plain: Any, *, of: str) -> T:
    """*kind*, a dataclass, from *plain*. What a newer server says beside it is left out.

    Raises:
        EngineError: If something is missing, or of another type; *of* is what was asked.
    """
    try:
        found: T = adapter(kind).validate_python(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise EngineError(
            f"{of} is not as it should be: {where}: {first['msg']}",
            hint="is a nightmill of this version at that address?",
        ) from error
    return found
