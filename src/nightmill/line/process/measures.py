"""What a role's record means when it begins: what it is told, what it remembers, and what it works without."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.crew import Memory
from nightmill.policy import FOOTPRINT, NETWORK, WINDOW, WORDS, Record
from nightmill.prompt import render
from nightmill.tool import crewed

if TYPE_CHECKING:
    from nightmill.agent import Brief
    from nightmill.crew import Page
    from nightmill.line.assignment import Assignment
    from nightmill.line.process.workshop import Workshop
    from nightmill.prompt import Prompt

__all__ = ["given", "left", "memory", "taken", "told"]


def given(shop: Workshop, brief: Brief, found: tuple[Record, ...], *, role: str) -> Brief:
    """*brief* with what *role* did wrong so often that its instructions name it, and with its notes; blocking."""
    page = Memory(shop.machines.settings.home).page(shop.assignment.project.id, role)
    parts = [each for each in (_record(shop, found, role=role), memory(page)) if each is not None]
    if not parts:
        return brief
    prompts = {**brief.prompts, **{each.name: each.digest for each in parts}}
    if page.shown:
        prompts[f"memory/{role}"] = sha256(page.text.encode()).hexdigest()
    anchor = "\n\n".join((brief.anchor, *(each.text for each in parts)))
    return replace(brief, anchor=anchor, prompts=prompts)


def memory(page: Page) -> Prompt | None:
    """What whoever begins in a role is given of its *page*; None: nothing."""
    notes = page.shown
    return render("agent/memory", lines="\n".join(f"- {each}" for each in notes)) if notes else None


def taken(found: Iterable[Record]) -> frozenset[str]:
    """What all of *found* together take away."""
    return frozenset(name for each in found for name in each.takes)


def left(only: tuple[str, ...] | None, without: Collection[str], assignment: Assignment) -> tuple[str, ...] | None:
    """The tools of those that *only* names, None for all, which a role still has *without* some."""
    gone = {*without, *({"apply_patch"} if {"edit_file", "write_file"} & {*without} else ())}
    tools = tuple(crewed(assignment.model, only=only).tools)
    return tuple(name for name in tools if name not in gone) if gone.intersection(tools) else only


def told(shop: Workshop, found: Iterable[Record], *, step: str, known: Collection[str] = ()) -> None:
    """Tell what whoever begins *step* works without, each kind of mistake by itself; what is *known* was told before."""
    for each in found:
        takes = [name for name in each.takes if name not in known]
        if takes:
            ours = [name for name in takes if _ours(shop, each.role, name)]
            shop.tell(
                event.PermissionTaken(
                    run=shop.run,
                    step=step,
                    role=each.role,
                    model=each.model,
                    kind=each.kind,
                    times=each.times,
                    takes=ours,
                    asked=[name for name in takes if name not in ours],
                )
            )


def _ours(shop: Workshop, role: str, name: str) -> bool:
    """Whether it is for us to take *name* from *role*: an external agent brings its own tools, and we only ask it."""
    return name in {NETWORK, FOOTPRINT} or shop.assignment.agent is None or role != "developer"


def _record(shop: Workshop, found: tuple[Record, ...], *, role: str) -> Prompt | None:
    named = [each for each in found if each.measure not in {"none", "note"}]
    if not named:
        return None
    lines = "\n".join(f"- It {WORDS.get(each.kind, each.kind)}: {each.times} times." for each in named)
    gone = sorted(taken(found))
    ours = [name for name in gone if _ours(shop, role, name)]
    asked = [name for name in gone if name not in ours]
    words = f"\n\nUntil that is over you work without: {', '.join(ours)}." if ours else ""
    words += f"\n\nUntil that is over do not use, where you have it: {', '.join(asked)}." if asked else ""
    return render("agent/record", lines=lines, runs=str(WINDOW), without=words)
