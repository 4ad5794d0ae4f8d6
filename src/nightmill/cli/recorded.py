"""What a trial needs of the run that it is one of: how each step ended that asked a model or a person, and what it changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill.cli.distilling import Past, Source
    from nightmill.cli.door import Door
    from nightmill.improve import Visit
    from nightmill.sandbox import Sandboxes

__all__ = ["recorded"]

ASKING = frozenset({"agent", "review", "ask", "approve", "map", "change", "emit"})
"""Kinds of steps that ask somebody or reach out; the others are done in a trial as ever."""


async def recorded(door: Door, sandboxes: Sandboxes, found: Source) -> dict[str, dict[str, Any]]:
    """How each of those steps went, by the way to it, as a trial of a script in place of *found* comes by it.

    The agent's own step is not among them: it would hide that a script failed. Where the script does what took several
    rounds, what came after the last of them comes after the first.

    Raises:
        SettingsError: If a snapshot is gone, or what an agent changed cannot be told.
    """
    from nightmill import event
    from nightmill.cli.distilling import gave

    past, mine = found.past, [each.path for each in found.choice.visits]
    patches = await _patches(door, sandboxes, past, [each for each in past.visits if each.path not in mine])
    went: dict[str, dict[str, Any]] = {}
    done = 0
    for each in past.told:
        if not isinstance(each, event.StepFinished):
            continue
        if each.step in mine:
            done += 1
        elif each.kind in ASKING and each.state != "skipped" and done in {0, len(mine)}:
            path = _earlier(each.step, found.choice.visits) if done else each.step
            patch = patches.get(each.step, "")
            value = gave(door, each.value)
            went[path] = {"ok": each.state == "done", "value": value, "reason": each.reason, "patch": patch}
    return went


def _earlier(path: str, some: Sequence[Visit]) -> str:
    """*path*, after the last of the rounds *some*, as it is called where the first of them was the last."""
    loop = re.match(r"(.*)\.\d+/[^/]*$", some[0].path)
    match = re.match(rf"{re.escape(loop[1])}\.(\d+)(?=/)", path) if loop else None
    if loop is None or match is None:
        return path
    number = int(match[1]) - some[-1].round + some[0].round
    return f"{loop[1]}.{number}{path[match.end() :]}"


async def _patches(door: Door, sandboxes: Sandboxes, past: Past, some: Sequence[Visit]) -> dict[str, str]:
    """The blobs with what each of *some* changed, by the way to its step; those that changed something."""
    from nightmill import event
    from nightmill.cli.forked import forked
    from nightmill.improve import difference

    base = past.assignment.base_commit
    whole = {each.snapshot: b"" for each in past.told if isinstance(each, event.WorkspacePrepared)}
    found: dict[str, str] = {}
    for visit in (each for each in some if _changed(past, each)):
        if visit.start not in whole:
            async with forked(door, sandboxes, past.row, visit.start) as (workspace, _):
                whole[visit.start] = await difference(workspace, base=base, before=b"")
        async with forked(door, sandboxes, past.row, visit.end) as (workspace, _):
            patch = await difference(workspace, base=base, before=whole[visit.start])
            whole[visit.end] = await difference(workspace, base=base, before=b"")
        found[visit.path] = door.blobs.put(patch) if patch else ""
    return found


def _changed(past: Past, visit: Visit) -> bool:
    """Whether something of *visit* stayed in the checkout."""
    from nightmill.improve import find
    from nightmill.line.brief import role

    place = find(past.assignment.blueprints, visit.path)
    if place is None or visit.state != "done" or visit.start in {"", visit.end}:
        return False
    return role(place.step.agent, past.assignment).writes != "nothing"
