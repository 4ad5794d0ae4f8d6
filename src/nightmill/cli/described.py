"""A blueprint in lines, for people."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from shutil import get_terminal_size

from nightmill.blueprint import Blueprint, Input, Step, kind
from nightmill.blueprint.catalogue import Entry
from nightmill.blueprint.words import does, placed, sees

__all__ = ["described"]

WIDE = 100
"""Columns that a paragraph takes at most."""


def described(entry: Entry, said: str, *, closure: str = "") -> Iterator[str]:
    """*entry*, with what is *said* of its approval; *closure* is the digest of it with all that it calls, "" if that is nothing."""
    read = entry.blueprint
    yield f"{entry.name}{f' version {read.version}: {read.title}' if read else ''}"
    yield f"{entry.place} · {entry.source}" + (f" · sha256 {read.digest[:12]}" if read else "")
    yield from [f"with all that it calls · sha256 {closure[:12]}"] if closure else []
    yield from [said] if said else []
    yield from (f"takes the place of {each}" for each in entry.hides)
    yield from (f"✗ {fault}" for fault in entry.faults)
    if read is None:
        return
    yield from ["", *_wrapped(read.description)] if read.description else []
    yield from ["", "asked for as: " + " · ".join(read.cues)] if read.cues else []
    yield from ["", "takes", *map(_input, read.inputs.items())] if read.inputs else []
    yield from ["", "does"]
    yield from _steps(read)
    if read.outputs:
        yield from ["", "gives"]
        yield from (f"  {name}: {text}" for name, text in read.outputs.items())


def _input(given: tuple[str, Input]) -> str:
    name, each = given
    otherwise = "" if each.needed else f"; {each.default!r} if not given" if each.default else "; may be left out"
    return f"  {name} ({' or '.join(each.choices) or each.type}{otherwise}): {each.doc}"


def _steps(read: Blueprint) -> Iterator[str]:
    for each in placed(read):
        step, margin = each.step, "  " * (each.depth + 1)
        yield f"{margin}{step.id}" + (f" · {step.title}" if step.title else "")
        more = [f"{kind(step)}: {does(step)}", *_conditions(step)]
        more += [f"sees {', '.join(sees(step))}"] if sees(step) else []
        yield from (f"{margin}    {line}" for line in more)


def _conditions(step: Step) -> Iterator[str]:
    if step.when:
        yield f"only if {' '.join(step.when.split())}"
    if step.may_fail:
        yield "goes on if it fails"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), min(WIDE, get_terminal_size().columns) if sys.stdout.isatty() else sys.maxsize
    )
