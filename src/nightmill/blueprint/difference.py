"""How two versions of a blueprint differ: in words by step, and in the lines of their files."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from nightmill.blueprint.nouns import Blueprint, MapStep, RepeatStep, Step, kind
from nightmill.blueprint.words import Placed, does, placed

__all__ = ["Changed", "differences", "lines"]

SHORT = 100


class Changed(NamedTuple):
    """A step, or with *step* "" the blueprint itself, that is not as it was."""

    what: str
    """"added", "removed", "moved" or "changed"."""
    step: str
    said: str


def differences(before: Blueprint, after: Blueprint) -> tuple[Changed, ...]:
    """What is not in *after* as it was in *before*, in the order of *after*; what was removed comes last."""
    old = {each.step.id: each for each in placed(before)}
    new = {each.step.id: each for each in placed(after)}
    found = [Changed("changed", "", said) for said in _fields(before, after, {"steps", "source", "digest"})]
    kept = [name for name in new if name in old]
    moved = set(kept) - _in_order([name for name in old if name in new], kept)
    for name, each in new.items():
        found += _step(old[name], each, moved=name in moved) if name in old else [_added(each)]
    found += [
        Changed("removed", name, f"{kind(old[name].step)}: {does(old[name].step)}") for name in old if name not in new
    ]
    return tuple(found)


def lines(before: bytes, after: bytes, *, names: tuple[str, str]) -> tuple[str, ...]:
    """The unified difference of two files, without line ends."""
    one, other = (body.decode("utf-8", "backslashreplace").splitlines() for body in (before, after))
    return tuple(difflib.unified_diff(one, other, names[0], names[1], lineterm=""))


def _added(each: Placed) -> Changed:
    inside = f" in {each.within}" if each.within else ""
    return Changed("added", each.step.id, f"{kind(each.step)}{inside}: {does(each.step)}")


def _step(old: Placed, new: Placed, *, moved: bool) -> Iterator[Changed]:
    name = new.step.id
    if old.within != new.within:
        yield Changed("moved", name, f"from {old.within or 'the top'} to {new.within or 'the top'}")
    elif moved:
        yield Changed("moved", name, "it has another place in the order")
    if kind(old.step) != kind(new.step):
        yield Changed("changed", name, f"it was {kind(old.step)}, and is {kind(new.step)}: {does(new.step)}")
        return
    for said in _fields(old.step, new.step, {"steps", "line"} if _holds(new.step) else {"line"}):
        yield Changed("changed", name, said)


def _holds(step: Step) -> bool:
    return isinstance(step, MapStep | RepeatStep)


def _fields(old: Any, new: Any, left_out: set[str]) -> Iterator[str]:
    for each in fields(new):
        one, other = getattr(old, each.name), getattr(new, each.name)
        if each.name in left_out or one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            yield f"{each.name}: {', '.join(_keys(one, other))}"
        elif _long(one) or _long(other):
            yield f"{each.name}: another text, {_words(one)} → {_words(other)} words"
        else:
            yield f"{each.name}: {_shown(one)} → {_shown(other)}"


def _keys(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    for key in {**one, **other}:
        if key not in one:
            yield f"+ {key}" + (f" ({_shown(other[key])})" if not _long(other[key]) else "")
        elif key not in other:
            yield f"− {key}"
        elif one[key] != other[key]:
            yield f"{key} is another"


def _long(value: Any) -> bool:
    return len(str(value)) > SHORT or (isinstance(value, str) and "\n" in value)


def _words(value: Any) -> int:
    return len(str(value).split())


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        value = ", ".join(map(str, value))
    return "nothing" if value in (None, "", {}) else " ".join(str(value).split())


def _in_order(one: list[str], other: list[str]) -> set[str]:
    """The most names that have the same order in both; the others were moved."""
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return {name for block in blocks for name in one[block.a : block.a + block.size]}
