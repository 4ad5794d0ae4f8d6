"""How the checks end before any change: run once, and what fails twice more, to tell failing from unsteady."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict

from nightmill.estate.environment import BUNDLE, Base, Site, parcel, place
from nightmill.estate.install import prepare
from nightmill.estate.nouns import Project
from nightmill.estate.services import demand
from nightmill.repo import Hub
from nightmill.review import Baseline, Check
from nightmill.review.prove import holds
from nightmill.review.run import LIMITS, once, reset
from nightmill.sandbox import Limits, Workspace
from nightmill.sandbox.disk.layers import remove

__all__ = ["REPEATS", "definition", "make", "measure"]

REPEATS = 2
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
    failing: dict[str, tuple[str, ...]] = {}
    flaky: dict[str, tuple[str, ...]] = {}
    passing: dict[str, tuple[str, ...]] = {}
    for check in checks:
        progress(f"baseline: {check.name}: {check.command}")
        bad, unsteady, good = await _measure(workspace, check, progress=progress, limits=limits)
        failing[check.name], flaky[check.name], passing[check.name] = bad, unsteady, good
    return Baseline(tree=tree, failing=failing, flaky=flaky, passing=passing)


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


async def _measure(
    workspace: Workspace, check: Check, *, progress: Progress, limits: Limits
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    first = await once(workspace, check, limits=limits)
    await reset(workspace)
    for said in _remarks(first.messages, first.outcome.dropped):
        progress(f"baseline: {check.name}: {said}")
    bad = set(first.messages)
    steady = set(bad)
    for count in range(1, REPEATS + 1):
        # A check that was stopped would be stopped again, at its full price.
        if not steady or first.outcome.stopped:
            break
        progress(f"baseline: {check.name}: {len(steady)} failure(s), run again ({count} of {REPEATS})")
        again = await once(workspace, check, limits=limits)
        await reset(workspace)
        bad |= set(again.messages)
        steady &= set(again.messages)
    good = {name for name, test in first.tests.items() if test.outcome == "passed"} | ({""} - bad)
    return tuple(sorted(steady)), tuple(sorted(bad - steady)), tuple(sorted(good - bad))


def _remarks(messages: Mapping[str, str], dropped: int) -> list[str]:
    """What a person should know of a check beside its tests: why it failed as a whole, what is not installed, a flood."""
    whole = [line for line in messages.get("", "").splitlines() if line.strip()]
    lines = [*whole[:1], *(f"  {line[:WIDTH]}" for line in whole[1:][-TAIL:])]
    lacking = sorted({name for message in messages.values() for name in module.findall(message)})
    lines += [f"no module {name!r}: if tests need it, add its package to `install`" for name in lacking[:MOST]]
    return [*lines, *([f"it prints so much that {dropped:,} bytes of it were left out"] if dropped else [])]
