"""What `emit: remediation` does: the work so far is kept with its authors, and a task is filed that somebody can start."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nightmill import event
from nightmill.blueprint.facts import FACTS, REMEDIATION
from nightmill.blueprint.values import amiss
from nightmill.change.compose import subject
from nightmill.change.words import line, plain, quoted
from nightmill.crew import identity
from nightmill.line.cleared import ref_of
from nightmill.line.process.walk import Outcome
from nightmill.line.remediation import known, write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightmill.kept import Part
    from nightmill.line.process.workshop import Workshop

__all__ = ["file"]

LONGEST = 100


async def file(shop: Workshop, path: str, values: Mapping[str, Any]) -> Outcome:
    """File what the step at *path* tells as a task of the run of *shop*: once, however often the run begins anew.

    The work is what could be taken out last.
    """
    given = {name: value for name, value in values.items() if value is not None}
    shape = {"type": "object", "properties": dict(FACTS[REMEDIATION].inputs)}
    if why := amiss(given, shape):
        return Outcome(ok=False, reason=f"no task can be made of it: {why}")
    filed = await shop.waiting.attempt("file", partial(_kept, shop, path, given))
    shop.tell(event.TaskFiled(run=shop.run, step=path, project=shop.assignment.project.id, **filed))
    return Outcome(ok=True)


async def _kept(shop: Workshop, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return await asyncio.to_thread(_keep, shop, path, given)


def _keep(shop: Workshop, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Put the work under a ref of its own and all that is known into a blob; the same again where it was begun before."""
    assignment, hub = shop.assignment, shop.hub
    title = assignment.task.title if assignment.task else assignment.spec.title
    parts = _signed(shop, title)
    commit = parts[-1].commit if parts else assignment.base_commit
    task = _id(shop.run, path)
    ref = ref_of(task)
    with hub.locked():
        hub.ref(ref, commit, expected_old=hub.resolve(ref) or "")
    left = known(
        given,
        run=shop.run,
        blueprint=assignment.blueprints[0].name,
        commit=commit,
        tree=hub.tree(commit),
        parts=parts,
    )
    return {
        "task": task,
        "title": line(title, limit=LONGEST * 2),
        "findings": len(left.findings) + left.more,
        "tree": left.tree,
        "commit": commit,
        "body": shop.machines.blobs.put(write(left)),
    }


def _signed(shop: Workshop, title: str) -> tuple[Part, ...]:
    """What each made, as commits one on top of the other, each signed by its author; those of a run before stay theirs."""
    settings, when = shop.machines.settings, int(shop.machines.now())
    found: list[Part] = []
    parent = shop.assignment.base_commit
    for part in shop.parts:
        if not part.run:
            author = identity(part.role, home=settings.home, domain=settings.identity_domain)
            words = (subject(title), quoted(part.summary), f"Nightmill-Run: {shop.run}")
            message = "\n\n".join(filter(None, words)) + "\n"
            tree = shop.hub.tree(part.commit)
            made = shop.hub.commit(tree, parents=[parent], message=message, author=author, when=when)
            evidence = tuple((plain(name), plain(by)) for name, by in part.evidence)
            part = replace(part, commit=made, summary=plain(part.summary), evidence=evidence)  # noqa: PLW2901 - the same, kept
        found.append(part)
        parent = part.commit
    return tuple(found)


def _id(run: str, path: str) -> str:
    """The task that the step at *path* leaves: begins with its run, and git takes it for a part of a ref."""
    name = f"{run}-{path.replace('/', '-')}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
