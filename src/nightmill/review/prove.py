"""Judge one tree by running the project's checks on it, in a sandbox that no agent has touched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nightmill.code import Change
from nightmill.errors import SandboxError
from nightmill.review import bend
from nightmill.review.bend import RULES, Rule
from nightmill.review.bend.signs import Kind
from nightmill.review.compare import WHOLE
from nightmill.review.evidence import Results, collect
from nightmill.review.formats import FORMATS, Told, tidy
from nightmill.review.listed import listing
from nightmill.review.nouns import Baseline, Check, CheckResult, Failure, Verdict
from nightmill.review.quote import files
from nightmill.review.run import LIMITS, Progress, Ran, reset, run_check
from nightmill.sandbox import Command, Limits, Workspace
from nightmill.spec import Criterion

__all__ = ["Case", "Keep", "Tell", "holds", "prove", "reasons"]

SHOWN = 5
"""Failures whose message is shown; the rest are only named."""

NAMED = 20
EXCERPT = 1_500

Keep = Callable[[bytes], str]
"""Keep a body and return its blob."""

Tell = Callable[[CheckResult], None]
"""Told of each check as it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is to be judged, and against what.

    *claims* are (criterion id, what shows it) in the agent's words, as in `agent.Ending.evidence`.
    """

    tree: str
    base_tree: str
    checks: tuple[Check, ...]
    baseline: Baseline
    changes: tuple[Change, ...] = ()
    """The files that differ between base and tree, as far as they are text."""
    large: tuple[str, ...] = ()
    """Those of them that were too large to be read."""
    criteria: tuple[Criterion, ...] = ()
    claims: tuple[tuple[str, str], ...] = ()
    rules: Mapping[Kind, Rule] = field(default_factory=lambda: RULES)
    """Which findings stand in the way."""
    limits: Limits = LIMITS
    hide: Callable[[str], str] = str
    """Leaves secrets out of what checks print and failed tests say."""


async def prove(workspace: Workspace, case: Case, *, tell: Tell, keep: Keep, progress: Progress) -> Verdict:
    """Run every check on `case.tree` and say whether it passed, with reasons fit for the agent and for people.

    *workspace* is fresh and holds exactly the tree; that is looked at before the first check.

    Raises:
        SandboxError: If the workspace does not hold the tree, or the sandbox failed.
    """
    await holds(workspace, case.tree)
    texts = await files(workspace, case.claims)  # before anything of the change has run
    results: list[CheckResult] = []
    tests: dict[str, Told] = {}
    for check in case.checks:
        if results:
            await reset(workspace)
        ran = await run_check(
            workspace, check, tree=case.tree, baseline=case.baseline, progress=progress, limits=case.limits
        )
        failures = tuple(replace(each, message=case.hide(each.message)) for each in ran.result.failures)
        output, listed = keep(_hidden(ran.output, case.hide)), _listed(ran, check, keep=keep)
        result = replace(ran.result, failures=failures, output=output, tests=listed)
        tell(result)
        results.append(result)
        tests |= ran.tests
    why = tuple(reason for result in results for reason in reasons(result))
    found = await asyncio.to_thread(bend.find, case.changes, case.checks, rules=case.rules, large=case.large)
    why = (why or _nothing_shown(results)) + bend.reason(found)
    seen = Results(checks=case.checks, results=tuple(results), tests=tests, texts=texts)
    return Verdict(
        tree=case.tree,
        base_tree=case.base_tree,
        passed=not why,
        results=tuple(results),
        reasons=why,
        evidence=collect(case.criteria, case.claims, found=seen),
        findings=found,
    )


def _hidden(output: bytes, hide: Callable[[str], str]) -> bytes:
    return hide(output.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _listed(ran: Ran, check: Check, *, keep: Keep) -> str:
    """The blob that lists the tests of *ran*; a report that is not to be believed shows of none that it passed."""
    if check.format == "exit" or not FORMATS[check.format].tests:
        return ""
    believed = not ran.result.stopped and all(each.id != WHOLE for each in ran.result.failures)
    return keep(listing(ran.tests.values() if believed else ()))


async def holds(workspace: Workspace, tree: str) -> None:
    """Make sure that /work/repo is exactly *tree*, nothing changed and nothing beside it.

    Raises:
        SandboxError: If it is not.
    """
    script = "git rev-parse 'HEAD^{tree}' && git status --porcelain --untracked-files=all"
    outcome = await workspace.run(Command(argv=("bash", "-c", script), limits=replace(LIMITS, seconds=300.0)))
    found = outcome.text.split("\n")
    if outcome.exit or found[0].strip() != tree or any(line.strip() for line in found[1:]):
        said = tidy(outcome.text, limit=400)
        raise SandboxError(
            f"the workspace does not hold tree {tree}: {said}", hint="prepare a fresh one and prove again"
        )


def reasons(result: CheckResult) -> list[str]:
    """Why *result* did not pass: a sentence each, then the failing tests' own words."""
    if result.passed:
        return []
    if result.stopped:
        return [_stopped(result)]
    found = []
    new = [failure for failure in result.failures if failure.kind == "new"]
    tests = [failure for failure in new if failure.id]
    if tests:
        found.append(_failed(result.check, tests))
    found += [f"check {result.check!r} fails as a whole:\n{_quote(each)}" for each in new if not each.id]
    if result.missing:
        lost = f"{len(result.missing)} test(s) that passed before and are now gone or skipped"
        found.append(f"check {result.check!r} lost {lost}: {_names(result.missing)}")
    return found


def _nothing_shown(results: list[CheckResult]) -> tuple[str, ...]:
    """Why nothing is proven although nothing is worse than before; empty if a check showed anything."""
    if not results:
        return ("no check is defined in nightmill.yaml, so nothing can be proven",)
    broken = {result.check: failure for result in results for failure in result.failures if failure.id == WHOLE}
    if len(broken) < len(results) or any(result.counts and result.counts["passed"] for result in results):
        return ()
    said = "\n".join(f"check {name!r}:\n{_quote(failure)}" for name, failure in broken.items())
    return (f"nothing is proven: every check fails as a whole, before the change and after it\n{said}",)


def _stopped(result: CheckResult) -> str:
    words = {
        "timeout": f"did not end within its limit and was stopped after {result.seconds:.0f} s",
        "memory": "used more memory than it may and was stopped (its `memory` in nightmill.yaml can be raised)",
        "disk": "wrote more than the sandbox's disk holds (`limits.disk` in nightmill.yaml) and was stopped",
        "output": "wrote more output than it may and was stopped",
    }
    ending = words.get(result.stopped, f"was stopped ({result.stopped})")
    said = [_quote(each) for each in result.failures if not each.id]
    return "\n".join([f"check {result.check!r} {ending}", *said])


def _failed(check: str, failures: list[Failure]) -> str:
    names = _names([each.id for each in failures])
    shown = "\n".join(f"{each.id}:\n{_quote(each)}" for each in failures[:SHOWN])
    return f"check {check!r} has {len(failures)} new failure(s): {names}\n{shown}"


def _names(ids: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _quote(failure: Failure) -> str:
    return "\n".join(f"    {line}" for line in tidy(failure.message, limit=EXCERPT).splitlines())
