"""JSON of a server to values: what is not as it should be is said, and not guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from nightmill.errors import EngineError
from nightmill.kept import Question, Run

__all__ = ["field", "listed", "value"]

T = TypeVar("T")

UNTOLD: Mapping[Any, Mapping[str, Any]] = {
    Run: {"assignment": "", "wishes": 0, "words": 0},
    Question: {"seconds": 0.0, "body": ""},
}
"""What the store has of a thing and a server does not tell."""

PLAIN: Mapping[Any, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}
"""What JSON has for them."""


def value(kind: Callable[..., T], plain: Any, *, of: str, **given: Any) -> T:
    """*kind*, a dataclass or named tuple, from *plain*; its fields in *given* are not looked for there.

    What a newer server says beside them is left out.

    Raises:
        EngineError: If *plain* is no object, or something is missing or of another kind; *of* is what was asked.
    """
    if not isinstance(plain, dict):
        raise _strange(of, "an object", plain)
    known = {**UNTOLD.get(kind, {}), **given}
    read = {name: each for name, each in _fields(kind).items() if name not in known}
    return kind(**known, **{name: _read(each, plain.get(name, ...), f"{name} of {of}") for name, each in read.items()})


def field(plain: Any, name: str, kind: type[T], *, of: str) -> T:
    """The field *name* of *plain* as *kind*, which may be whatever a field of a value is. Raises as `value`."""
    found: T = _read(kind, plain.get(name, ...) if isinstance(plain, dict) else ..., f"{name} of {of}")
    return found


def listed(plain: Any, name: str, read: Callable[[Any], T], *, of: str) -> tuple[T, ...]:
    """The list *name* of *plain*, each of it by *read*."""
    return tuple(read(each) for each in field(plain, name, tuple[Any, ...], of=of))


def _read(kind: Any, plain: Any, of: str) -> Any:
    if plain is ...:
        raise _strange(of, "there", plain)
    if kind is Any:
        return plain
    if kind in PLAIN:
        return _fit(plain, PLAIN[kind], kind.__name__, of)
    read = SHAPES.get(get_origin(kind))
    return read(get_args(kind), plain, of) if read else value(kind, plain, of=of)


def _optional(kinds: tuple[Any, ...], plain: Any, of: str) -> Any:
    return None if plain is None else _read(kinds[0], plain, of)


def _word(words: tuple[str, ...], plain: Any, of: str) -> Any:
    if plain not in words:
        raise _strange(of, " or ".join(words), plain)
    return plain


def _tuple(kinds: tuple[Any, ...], plain: Any, of: str) -> Any:
    found = _fit(plain, (list,), "a list", of)
    if kinds[-1] is ...:
        return tuple(_read(kinds[0], each, f"one of {of}") for each in found)
    if len(found) != len(kinds):
        raise _strange(of, f"a list of {len(kinds)}", plain)
    return tuple(_read(kind, each, f"one of {of}") for kind, each in zip(kinds, found, strict=True))


def _dict(kinds: tuple[Any, ...], plain: Any, of: str) -> Any:
    return {
        name: _read(kinds[1], each, f"{name} of {of}") for name, each in _fit(plain, (dict,), "an object", of).items()
    }


SHAPES: Mapping[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    UnionType: _optional,
    Literal: _word,
    tuple: _tuple,
    dict: _dict,
}


@cache
def _fields(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _fit(plain: Any, kinds: tuple[type, ...], wanted: str, of: str) -> Any:
    if not isinstance(plain, kinds) or (isinstance(plain, bool) and bool not in kinds):
        raise _strange(of, wanted, plain)
    return plain


def _strange(of: str, wanted: str, found: Any) -> EngineError:
    said = "nothing" if found is ... else f"{found!r:.60}"
    return EngineError(f"{of} should be {wanted} and is {said}", hint="is a nightmill of this version at that address?")
