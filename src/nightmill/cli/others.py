"""Other finished runs of the same blueprint: would the script have made there what their agents made?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.cli.distilling import Past, Source
    from nightmill.cli.door import Door
    from nightmill.improve import Proposal

__all__ = ["others"]

MOST = 2
"""Runs that are tried."""
LOOKED = 200
"""Runs that are looked at, the newest."""


def others(door: Door, found: Source, proposal: Proposal) -> list[dict[str, Any]]:
    """What the script makes in each, from that run's own beginning and with its inputs; a difference is evidence, no refusal."""
    return [_tried(door, each, proposal) for each in _alike(door, found)]


def _alike(door: Door, found: Source) -> Iterator[Source]:
    """The same step in other runs that went through the same blueprints, newest first."""
    from nightmill.cli.distilling import chosen, past, source
    from nightmill.errors import NightmillError

    count, mine = 0, _digests(found.past)
    rows = door.runs.list(projects=[found.past.row.project], states=("done",), limit=LOOKED)
    for row in rows:
        if count == MOST or row.kind != "task" or row.id == found.past.row.id:
            continue
        try:
            other = past(door, row.id)
            if other.assignment.trial or _digests(other) != mine:
                continue
            choices = chosen(other, "")
            choice = next(each for each in choices if each.visits[0].path == found.choice.visits[0].path)
            yield source(door, other, choice)
            count += 1
        except (NightmillError, StopIteration):  # it went another way, or what is known of it is gone
            continue


def _digests(past: Past) -> set[str]:
    return {f"{each.name} {each.digest}" for each in past.blueprints}


def _tried(door: Door, other: Source, proposal: Proposal) -> dict[str, Any]:
    from nightmill.cli.distilling import values_of
    from nightmill.cli.tried import run_trial

    past = other.past
    given = {each.name: each.text for each in values_of(past, other.place)}
    inputs = {name: given.get(name, text) for name, text in proposal.inputs.items()}
    left, went = asyncio.run(_known(door, other))
    trial = run_trial(door, other, proposal, inputs, went, until_then=True)
    named = ", ".join(f"{name}={text}" for name, text in inputs.items()) or "no inputs"
    if not trial.script:
        said = f"with {named} the script fails"
    elif trial.made == left:
        said = f"with {named} the same tree {left[:12]} as its agent's"
    else:
        said = f"with {named} another tree than its agent's"
    return {
        "of": past.row.id,
        "inputs": inputs,
        "made": left,
        "trial": asdict(trial),
        "said": f"run {past.row.id}: {said}",
    }


async def _known(door: Door, other: Source) -> tuple[str, dict[str, dict[str, Any]]]:
    """The tree that the agent left, and how the other steps went."""
    from nightmill.cli.forked import forked
    from nightmill.cli.recorded import recorded
    from nightmill.cli.site import make_site
    from nightmill.improve import tree_of

    sandboxes = make_site(door).sandboxes
    async with forked(door, sandboxes, other.past.row, other.end) as (workspace, _):
        left = await tree_of(workspace)
    return left, await recorded(door, sandboxes, other)
