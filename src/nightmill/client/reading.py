"""JSON of a server to values: what is not as it should be is said, and not guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nightmill.errors import EngineError

__all__ = ["listed", "value"]

T = TypeVar("T")

KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}
"""What JSON has for a field of a plain type; any other plain field is a text."""


def value(kind: Callable[..., T], plain: Any, *, of: str, **given: Any) -> T:
    """*kind*, a dataclass or named tuple, from *plain*; its fields in *given* are not looked for there.

    What a newer server says beside them is left out.

    Raises:
        EngineError: If *plain* is no object, or a field is missing or of another type; *of* is what was asked.
    """
    if not isinstance(plain, dict):
        raise _strange(of, "an object", plain)
    named = {}
    for name, annotation in kind.__annotations__.items():
        if name not in given:
            wanted = getattr(annotation, "__forward_arg__", annotation)  # what a named tuple makes of a text
            named[name] = _field(plain.get(name, ...), str(wanted), of=f"{name} of {of}")
    return kind(**named, **given)


def listed(plain: Any, name: str, read: Callable[[Any], T], *, of: str) -> tuple[T, ...]:
    """The list *name* of *plain*, each of it by *read*."""
    found = plain.get(name) if isinstance(plain, dict) else None
    if not isinstance(found, list):
        raise _strange(f"{name} of {of}", "a list", found)
    return tuple(read(each) for each in found)


def _field(found: Any, kind: str, *, of: str) -> Any:
    plain, optional = kind.removesuffix(" | None"), kind.endswith(" | None")
    if found is None and optional:
        return None
    if plain.startswith("tuple["):
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise _strange(of, "a list of texts", found)
        return tuple(found)
    kinds = KINDS.get(plain, (str,))
    if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
        raise _strange(of, plain, found)
    return found


def _strange(of: str, wanted: str, found: Any) -> EngineError:
    said = "nothing" if found is ... else f"{found!r:.60}"
    return EngineError(f"{of} should be {wanted} and is {said}", hint="is a nightmill of this version at that address?")
