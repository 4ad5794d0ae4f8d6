"""What every run is given: each value is worked out where a step reads it, from what never changes or is a step's result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nightmill.line import brief as briefs
from nightmill.line import merging
from nightmill.policy import reviewers
from nightmill.repo import shown
from nightmill.tool.base import cut

if TYPE_CHECKING:
    from nightmill.line.process.workshop import Workshop

__all__ = ["given"]

MOST_DIFF = 120_000
"""Characters of a diff that a step reads."""
MOST_FILES = 2_000


async def given(shop: Workshop, name: str, part: str) -> Any:
    """The value *part* of *name*, as `blueprint.shapes.GIVEN` names them."""
    if name == "change":
        return await _change(shop, part)
    if name == "project":
        return await _project(shop, part)
    if name == "skills":
        return await asyncio.to_thread(briefs.skills, shop.assignment, shop.hub)
    if name == "earlier":
        key = shop.prepared.get("earlier", "")
        return shop.machines.blobs.get(key).decode() if key else ""
    return _fixed(shop, name, part)


def _fixed(shop: Workshop, name: str, part: str) -> Any:
    spec = shop.assignment.spec
    if name == "run":
        return {"id": shop.run, "by": shop.assignment.by}[part]
    return {"title": spec.title, "text": spec.text}[part] if name == "spec" else _task(shop, part)


def _task(shop: Workshop, part: str) -> Any:
    task = shop.assignment.task
    title = task.title if task else shop.assignment.spec.title
    instruction = task.instruction if task else shop.assignment.spec.text
    criteria = [{"id": each.id, "text": each.text} for each in briefs.criteria(shop.assignment)]
    return {
        "title": title,
        "instruction": "" if instruction.strip() == title.strip() else instruction,
        "criteria": criteria,
        "paths": list(task.footprint.paths) if task else [],
    }[part]


async def _project(shop: Workshop, part: str) -> Any:
    assignment = shop.assignment
    match part:
        case "facts":
            return briefs.facts(assignment)
        case "instructions":
            return await asyncio.to_thread(briefs.instructions, assignment, shop.hub)
        case "files":
            return await asyncio.to_thread(briefs.tree, shop.hub, assignment.begins)
        case "checks":
            return [check.command for check in assignment.project.checks]
    return {"id": assignment.project.id, "language": assignment.project.language}[part]


async def _change(shop: Workshop, part: str) -> Any:
    head = await shop.current()
    base = shop.assignment.base_commit
    if not head:
        return {
            "tree": "",
            "files": [],
            "lines": 0,
            "reviews": [],
            "diff": f"(it cannot be taken out: {shop.trouble})",
        }[part]
    if part == "tree":
        return await asyncio.to_thread(shop.hub.tree, head)
    changes = await asyncio.to_thread(shop.hub.changes, base, head)
    match part:
        case "files":
            return [shown(change.path) for change in changes[:MOST_FILES]]
        case "lines":
            return sum(change.added + change.removed for change in changes)
        case "reviews":
            return list(reviewers(shop.assignment.policy, merging.changed(changes)))
    found = await asyncio.to_thread(shop.hub.diff, base, head)
    return cut(found.text, most=MOST_DIFF)
