"""How the checks end before any change: run once, and what fails twice more, to tell failing from unsteady."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import NamedTuple

from nightmill.estate.environment import BUNDLE, Base, Site, parcel, place
from nightmill.estate.install import prepare
from nightmill.estate.nouns import Project
from nightmill.estate.services import demand
from nightmill.repo import Hub
from nightmill.review import Baseline, Check, Flake
from nightmill.review.flake import REPEATS, signature
from nightmill.review.prove import holds
from nightmill.review.run import LIMITS, once, reset
from nightmill.sandbox import Limits, Workspace
from nightmill.sandbox.disk.layers import remove

__all__ = ["definition", "make", "measure"]

STEADY = 2
"""Repeats that a test has to fail before it counts as failing."""
MOST = 5
"""Missing modules that are named."""
TAIL = 6
WIDTH = 200
"""Of the output of a check that failed as a whole: lines from its end that are shown, and their width."""

module = re.compile(r"ModuleNotFoundError: No module named '([\w.]{1,60})'")

Progress = Callable[[str], None]


async def measure(
    workspace: Workspace, checks: tuple[Check, ...], *, tree: str, progress: Progress, limits: Limits = LIMITS
) -> Baseline:
    """Run *checks* in a fresh *workspace* that holds *tree*.

    A test that failed and passes in a repeat is flaky; one that fails each time is failing.

    Raises:
        SandboxError: If the workspace does not hold the tree, or the sandbox failed.
    """
    await holds(workspace, tree)
    found: dict[str, _Measured] = {}
    for check in checks:
        progress(f"baseline: {check.name}: {check.command}")
        found[check.name] = await _measure(workspace, check, progress=progress, limits=limits)
    return Baseline(
        tree=tree,
        failing={name: each.failing for name, each in found.items()},
        flaky={name: tuple(each.flakes) for name, each in found.items()},
        passing={name: each.passing for name, each in found.items()},
        flakes={name: each.flakes for name, each in found.items() if each.flakes},
        covered={name: each.covered for name, each in found.items() if each.covered},
    )


async def make(project: Project, base: Base, *, hub: Hub, commit: str, site: Site, progress: Progress) -> Baseline:
    """Open a fresh sandbox over *base*, move it to *commit* and `measure` there; the sandbox is gone afterwards."""
    folder = site.home / "projects" / project.id / "baselines" / secrets.token_hex(8)
    bundle = folder / "commit.bundle"
    try:
        (folder / "run").mkdir(parents=True)
        needed = await asyncio.to_thread(parcel, hub, base, commit=commit, target=bundle)
        files = {BUNDLE: bundle} if needed else {}
        workspace = await site.sandboxes.open(place(project, base, directory=folder / "run", files=files))
        try:
            bundle_inside = BUNDLE if needed else ""
            await prepare(workspace, bundle=bundle_inside, commit=commit, services=project.services)
            await demand(workspace)
            tree = await asyncio.to_thread(hub.tree, commit)
            return await measure(workspace, project.checks, tree=tree, progress=progress)
        finally:
            await workspace.close()
    finally:
        await asyncio.to_thread(remove, folder)


def definition(checks: tuple[Check, ...], environment: str) -> str:
    """The hash under which a baseline is kept, beside its tree: the checks and the environment that they ran in."""
    plain = json.dumps([environment, [asdict(check) for check in checks]], sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


class _Measured(NamedTuple):
    """How one check ends on the base."""

    failing: tuple[str, ...]
    passing: tuple[str, ...]
    flakes: dict[str, Flake]
    covered: tuple[int, int] | None


async def _measure(workspace: Workspace, check: Check, *, progress: Progress, limits: Limits) -> _Measured:
    first = await once(workspace, check, limits=limits)
    await reset(workspace)
    for said in _remarks(first.messages, first.outcome.dropped):
        progress(f"baseline: {check.name}: {said}")
    runs = [first.messages]
    # A check that was stopped would be stopped again, at its full price; and what is unsteady is worth a better estimate.
    while first.messages and not first.outcome.stopped and len(runs) <= (REPEATS if _unsteady(runs) else STEADY):
        progress(
            f"baseline: {check.name}: {len(first.messages)} failure(s), run again ({len(runs)} of {REPEATS} at most)"
        )
        again = await once(workspace, check, limits=limits)
        await reset(workspace)
        runs.append(again.messages)
    unsteady = _unsteady(runs)
    bad = {name for messages in runs for name in messages}
    good = {name for name, test in first.tests.items() if test.outcome == "passed"} | ({""} - bad)
    return _Measured(
        failing=tuple(sorted(bad - unsteady)),
        passing=tuple(sorted(good - bad)),
        flakes={name: _flake(name, runs) for name in sorted(unsteady)},
        covered=first.covered,
    )


def _unsteady(runs: list[dict[str, str]]) -> set[str]:
    """What failed in some of *runs* and not in all."""
    return {name for messages in runs for name in messages if not all(name in each for each in runs)}


def _flake(name: str, runs: list[dict[str, str]]) -> Flake:
    said = [each[name] for each in runs if name in each]
    return Flake(failed=len(said), runs=len(runs), said=tuple(dict.fromkeys(map(signature, said))))


def _remarks(messages: Mapping[str, str], dropped: int) -> list[str]:
    """What a person should know of a check beside its tests: why it failed as a whole, what is not installed, a flood."""
    whole = [line for line in messages.get("", "").splitlines() if line.strip()]
    lines = [*whole[:1], *(f"  {line[:WIDTH]}" for line in whole[1:][-TAIL:])]
    lacking = sorted({name for message in messages.values() for name in module.findall(message)})
    lines += [f"no module {name!r}: if tests need it, add its package to `install`" for name in lacking[:MOST]]
    return [*lines, *([f"it prints so much that {dropped:,} bytes of it were left out"] if dropped else [])]
