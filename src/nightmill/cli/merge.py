"""Proving the tree that a merge would give, when its target has moved since the pull request was proven."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.forge import PullRequest
    from nightmill.line.merging import Merging
    from nightmill.review import Verdict

__all__ = ["prove_merged"]


def prove_merged(door: Door, request: PullRequest) -> str:
    """The merged tree, proven: the target's checks run on it in a fresh sandbox, unless they have passed on exactly that.

    Raises:
        RepoError: If it is not open, the merge conflicts, or the merged tree does not pass.
    """
    from nightmill.cli.screen import say
    from nightmill.desk.changes import gate
    from nightmill.errors import RepoError

    tree = door.forge.merged_tree(project=request.project, number=request.number)
    judge = gate(door, request)
    known = judge.proof(request, tree)
    if known is not None and known.passed:
        return tree
    moved = f"{request.target} has moved since #{request.number} was proven"
    why = moved if tree != request.tree else f"nothing proves #{request.number} by what holds on {request.target} now"
    say(f"{why}: its checks run on the merged tree {tree[:10]}")
    verdict = asyncio.run(_prove(door, judge, request, tree))
    body = door.blobs.put(_json(verdict))
    door.forge.prove(project=request.project, tree=tree, passed=verdict.passed, verdict=body, at=time.time())
    if not verdict.passed:
        raise RepoError(
            f"the merged tree does not pass: {' '.join(verdict.reasons)[:2000]}",
            hint=f"run the spec of #{request.number} again: it starts from {request.target} as it is now",
        )
    return tree


async def _prove(door: Door, judge: Merging, request: PullRequest, tree: str) -> Verdict:
    from nightmill.cli.serve import machines
    from nightmill.estate import environment
    from nightmill.line.assignment import read
    from nightmill.line.brief import criteria
    from nightmill.line.prove import Proving
    from nightmill.model.connect import client

    async with client(door.settings) as http:
        world = machines(door, name=f"merge-{os.getpid()}", http=http)
        hub, tip, author = world.hub(request.project), judge.ground.tip, Merger()
        commit = hub.commit(tree, parents=[tip, request.head], message="merged, to be proven\n", author=author, when=0)
        hub.ref(
            f"refs/nightmill/merged/{request.number}",
            commit,
            expected_old=hub.resolve(f"refs/nightmill/merged/{request.number}") or "",
        )
        asked = read(door.blobs.get(door.runs.get(request.run).assignment))
        assignment = replace(asked, project=judge.ground.project, policy=judge.policy, base_commit=tip)
        base = await environment.base(assignment.project, hub=hub, commit=tip, site=world.site, progress=lambda _: None)
        proving = Proving(run=request.run, machines=world, assignment=assignment, base=base, site=world.site)
        return await proving.verdict(commit, number=0, criteria=criteria(assignment), claims=())


class Merger:
    """Who tries a merge: nobody signs what is only tried."""

    name = "nightmill"
    email = "merge@nightmill.invalid"
    key = None


def _json(verdict: Verdict) -> bytes:
    from nightmill.line.process.proof import verdicts

    return verdicts.dump_json(verdict)
