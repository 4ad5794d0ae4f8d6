"""What has not the shape of its file, in words: where it stands, what it is, and what it has to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from nightmill.blueprint.nouns import KINDS, Blueprint, Input, Most
from nightmill.blueprint.shapes import meant
from nightmill.errors import SettingsError
from nightmill.written import Lines, Written

__all__ = ["OURS", "known", "shapeless"]

Way = tuple[str | int, ...]
Keys = Callable[[Any, Way], tuple[str, ...]]
"""The keys that a mapping, to which a way leads, may have."""
OURS = frozenset({"source", "digest", "line"})
"""Keys of the values that no file has."""
COMMON = ("id", "title", "when", "may_fail")
SHOWN = 60
LETTERS = {
    r"^[a-z][a-z0-9_]{0,39}$": "small letters, digits and '_', a letter first, at most 40",
    r"^[a-z][a-z0-9-]{0,39}$": "small letters, digits and '-', a letter first, at most 40",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "letters, digits and '_', no digit first",
}
WANTED = {
    "string_type": ("a text", "put it in quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "bool_parsing": ("true or false", "write true or false, without quotes"),
    "int_type": ("a whole number", "write it in digits, without quotes or a unit; memory is in bytes"),
    "float_type": ("a number", "write it in digits, without quotes or a unit; seconds, or US dollars"),
    "tuple_type": ("a list", "such as [one, two], or a line `- …` for each"),
    "dict_type": ("a mapping", "a line `name: value` for each"),
    "dataclass_type": ("a mapping", "a line `name: value` for each"),
}
"""What a value has to be, and what to do, by what is wrong with its type."""
BOUNDS = {"greater_than_equal": "at least", "greater_than": "more than", "less_than_equal": "at most"}


class Mistake(NamedTuple):
    """Something that has not its shape: the *way* to it, what is *said* of it, and what to do."""

    way: Way
    said: str
    hint: str


def known(at: Any, way: Way) -> tuple[str, ...]:
    """The keys that the mapping *at*, to which *way* leads in a blueprint, may have."""
    shape: Any = next((KINDS[key] for key in KINDS if isinstance(at, dict) and key in at), None)
    if not way:
        shape = Blueprint
    elif way[0] == "inputs":
        shape = Input
    elif way[-1] == "budget":
        shape = Most
    return tuple(key for key in shape.__dataclass_fields__ if key not in OURS) if shape else (*COMMON, *KINDS)


def shapeless(
    errors: Sequence[Mapping[str, Any]], written: Written, source: str, *, keys: Keys = known
) -> SettingsError:
    """All that *errors*, pydantic's, are about in what is *written* in the file *source*, in the order of its lines.

    *keys* are those of a blueprint if nothing is said.
    """
    found: dict[Way, Mistake] = {}
    for error in errors:
        for mistake in _mistakes(error, written.value, keys):
            found.setdefault(mistake.way, mistake)
    placed = sorted((_line(written.lines, each.way), number, each) for number, each in enumerate(found.values()))
    said = "\n".join(f"{source}:{line}: {each.said}" for line, _, each in placed)
    return SettingsError(said, hint=placed[0][2].hint)


def _mistakes(error: Mapping[str, Any], value: Any, known: Keys) -> Iterator[Mistake]:
    way, at, holder = _followed(error["loc"], value)
    kind, context, last = error["type"], error.get("ctx", {}), str(error["loc"][-1]) if error["loc"] else ""
    match kind:
        case "unexpected_keyword_argument" | "extra_forbidden":
            keys = known(holder, way[:-1])
            yield Mistake(way, f"unknown key {last!r}{meant(last, keys)}", f"known keys: {', '.join(keys)}")
        case "missing" | "missing_argument":
            yield Mistake((*way, last), f"the key {last!r} is missing", f"known keys: {', '.join(known(at, way))}")
        case "union_tag_invalid" | "union_tag_not_found":
            yield Mistake(way, f"the step {_kinds(at)}", f"exactly one of: {', '.join(KINDS)}")
        case "too_short" if not at:
            yield Mistake(way, f"`{_named(way)}` is empty", "a line `- …` for each")
        case "too_short":
            return  # none of them could be read: each is said by itself
        case _:
            said, hint = _unfit(kind, context, at, error["msg"])
            if last == "[key]":
                yield Mistake(way, f"the name {way[-1]!r} {said}", hint)
            else:
                hint = "`all`, or names of checks such as [tests]" if _named(way) == "check" else hint
                named = f"`{_named(way)}`" if way else "the file"
                yield Mistake(way, f"{named} is {_shown(at)}, and {said}", hint)


def _unfit(kind: str, context: Mapping[str, Any], at: Any, message: str) -> tuple[str, str]:
    """What a value has to be that *kind* of error is about, and what to do."""
    if kind in WANTED:
        wanted, hint = WANTED[kind]
        more = ": YAML takes yes, no, on and off for true and false" if isinstance(at, bool) else ""
        return f"has to be {wanted}", f"{hint}{more}" if kind == "string_type" else hint
    if kind in BOUNDS:
        bound = next(iter(context.values()))
        return f"has to be {BOUNDS[kind]} {bound:g}", "a bound that runs are held to"
    if kind == "literal_error":
        choices = [each.strip("'") for each in context["expected"].replace(" or ", ", ").split(", ")]
        return f"has to be one of: {', '.join(choices)}{meant(str(at), choices)}", "take one of them"
    if kind == "string_pattern_mismatch":
        return f"has to be of {LETTERS.get(context['pattern'], context['pattern'])}", "give it another name"
    if kind == "string_too_long":
        return f"has to have at most {context['max_length']:,} letters", "make it shorter"
    return message, "see `nightmill blueprint show quick --source` for one that is right"


def _kinds(at: Any) -> str:
    if not isinstance(at, dict):
        return f"is {_shown(at)}, and has to be a mapping"
    found = [key for key in KINDS if key in at]
    if found:
        return f"is both {' and '.join(map(repr, found))}"
    near = next((said for key in at if key not in COMMON and (said := meant(str(key), tuple(KINDS)))), "")
    return f"says not what it does{near}"


def _followed(loc: Sequence[str | int], value: Any) -> tuple[Way, Any, Any]:
    """The way of *loc* as the file has it, what stands there, and what that stands in."""
    way: list[str | int] = []
    at: Any = value
    holder: Any = value
    for before, name in pairwise(("", *loc)):
        if isinstance(before, int) and way[-2:] == ["steps", before]:
            continue  # which kind of step it was taken for, no part of the way
        if (isinstance(at, dict) and name in at) or (isinstance(at, list) and isinstance(name, int)):
            way.append(name)
            holder, at = at, at[name]  # type: ignore[index] # an int where it is a list
    return tuple(way), at, holder


def _line(lines: Lines, way: Way) -> int:
    return next(lines[way[:size]] for size in range(len(way), -1, -1) if way[:size] in lines)


def _named(way: Way) -> str:
    """The keys of *way* from the innermost step on."""
    steps = [at for at, name in enumerate(way) if name == "steps" and isinstance((*way, "")[at + 1], int)]
    return ".".join(str(each) for each in way[steps[-1] + 2 if steps else 0 :])


def _shown(value: Any) -> str:
    """*value* as its file may have it."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    if value is None:
        return "empty"
    said = str(value).lower() if isinstance(value, bool) else repr(value)
    return said if len(said) <= SHOWN else f"{said[: SHOWN - 1]}…"
