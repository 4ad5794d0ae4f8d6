"""Run one check on one tree and say how it ended, compared with the baseline.

A check passes when it ran to its end, has no new failure and lost no test. A failure that the baseline does not
know is run again, because one red run cannot tell a broken test from an unsteady one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from nightmill.errors import SettingsError, ToolError
from nightmill.review import compare, junit
from nightmill.review.nouns import Baseline, Check, CheckResult, Failure
from nightmill.sandbox import Command, Limits, Outcome, Workspace

__all__ = ["LIMITS", "REPEATS", "Progress", "Ran", "once", "reset", "run_check"]

LIMITS = Limits(memory=4 << 30, processes=2048, file_size=4 << 30, output=1 << 20)
"""Bounds on a check; its seconds are its own."""

REPEATS = 2
WORTH_REPEATING = 10
"""More new failures than this at once are a broken tree, not unsteady tests."""

PYTEST_EMPTY = 5

Progress = Callable[[str], None]
"""Told in words what goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A check's result, its output as it came, and each test of its report (empty for "exit")."""

    result: CheckResult
    output: bytes
    tests: dict[str, junit.Told] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Once:
    """One execution: *messages* are its failures by id, `compare.WHOLE` being the check itself."""

    outcome: Outcome
    tests: dict[str, junit.Told]
    messages: dict[str, str]


async def run_check(
    workspace: Workspace,
    check: Check,
    *,
    tree: str,
    baseline: Baseline | None,
    progress: Progress,
    limits: Limits = LIMITS,
) -> Ran:
    """Run *check* in *workspace*, which holds *tree*; a new failure up to twice more, to tell it from an unsteady one.

    `Ran.result.output` is left empty: whoever keeps the output knows its blob.
    """
    progress(f"check {check.name}: {check.command}")
    first = await once(workspace, check, limits=limits)
    failures = compare.sort(first.messages, check=check.name, baseline=baseline)
    if not first.outcome.stopped:
        failures = await _repeat(workspace, check, failures, baseline=baseline, progress=progress, limits=limits)
    lost = compare.missing(first.tests, check=check.name, baseline=baseline) if check.format != "exit" else ()
    new = any(failure.kind == "new" for failure in failures)
    result = CheckResult(
        check=check.name,
        tree=tree,
        exit=first.outcome.exit,
        passed=not new and not lost and not first.outcome.stopped,
        failures=failures,
        counts=compare.count(first.tests.values()) if check.format != "exit" else None,
        missing=lost,
        stopped=first.outcome.stopped,
        seconds=round(first.outcome.seconds, 3),
    )
    return Ran(result=result, output=_bytes(first.outcome), tests=first.tests)


async def once(workspace: Workspace, check: Check, *, limits: Limits = LIMITS) -> _Once:
    """One execution of *check*, nothing compared and nothing repeated."""
    report = await _report_path(workspace, check)
    outcome = await workspace.run(_command(check, report, limits))
    if check.format == "exit":
        return _Once(outcome=outcome, tests={}, messages=_whole(outcome, "") if outcome.exit or outcome.stopped else {})
    tests, trouble = await _read(workspace, report, outcome)
    messages = compare.failed(tests)
    trouble = "" if check.format == "pytest" and outcome.exit == PYTEST_EMPTY else trouble
    if outcome.stopped or trouble or (outcome.exit and not messages):
        messages |= _whole(outcome, trouble)
    return _Once(outcome=outcome, tests=tests, messages=messages)


async def reset(workspace: Workspace) -> None:
    """Put the checkout back to its commit: what a check wrote must not bend the next."""
    script = "git reset -q --hard HEAD && git clean -fdq"
    await workspace.run(Command(argv=("bash", "-c", script), limits=replace(LIMITS, seconds=120.0)))


async def _repeat(
    workspace: Workspace,
    check: Check,
    failures: tuple[Failure, ...],
    *,
    baseline: Baseline | None,
    progress: Progress,
    limits: Limits,
) -> tuple[Failure, ...]:
    """Failures whose tests passed on the base and pass in every repeat become "flaky"; a new test has to be steady."""
    open_ = {each.id for each in failures if each.kind == "new"}
    open_ = {name for name in open_ if compare.known_before(name, check=check.name, baseline=baseline)}
    if not 0 < len(open_) <= WORTH_REPEATING:
        return failures
    for count in range(1, REPEATS + 1):
        progress(f"check {check.name}: {len(open_)} new failure(s), run again ({count} of {REPEATS})")
        await reset(workspace)
        again = await once(workspace, check, limits=limits)
        open_ = {name for name in open_ if name not in again.messages and _ran(again, name)}
        if not open_:
            break
    return tuple(replace(each, kind="flaky") if each.id in open_ else each for each in failures)


def _ran(again: _Once, name: str) -> bool:
    if compare.WHOLE in again.messages or again.outcome.stopped:
        return False
    return name == compare.WHOLE or (name in again.tests and again.tests[name].outcome == "passed")


async def _report_path(workspace: Workspace, check: Check) -> str:
    if check.format == "pytest":
        # From the system's randomness: a name that no file in the tree can have prepared.
        return f"/work/home/.report-{secrets.token_hex(16)}.xml"
    if check.format == "exit":
        return ""
    path = PurePosixPath(check.report)
    if not check.report or path.is_absolute() or ".." in path.parts:
        raise SettingsError(
            f"check {check.name!r} has the report {check.report!r}, which is no path in the repository",
            hint="name the JUnit file that the command writes, relative to the repository",
        )
    inside = f"/work/repo/{path}"
    # A report that lies in the tree says nothing of this run.
    await workspace.run(Command(argv=("rm", "-rf", "--", inside), limits=replace(LIMITS, seconds=60.0)))
    return inside


def _command(check: Check, report: str, limits: Limits) -> Command:
    script = check.command
    if check.format == "pytest":
        # xunit1 names the file of each test; by the variable, so that wrappers and pipes keep working. One file that
        # cannot be imported would keep all others from running, and on a base like that nothing could be proven.
        ours = f"-p no:cacheprovider --continue-on-collection-errors -o junit_family=xunit1 --junitxml={report}"
        script = f'export PYTEST_ADDOPTS="${{PYTEST_ADDOPTS-}} {ours}"\n{script}'
    return Command(argv=("bash", "-c", script), limits=replace(limits, seconds=check.seconds, memory=check.memory))


async def _read(workspace: Workspace, report: str, outcome: Outcome) -> tuple[dict[str, junit.Told], str]:
    try:
        body = await workspace.read(report, limit=junit.REPORT_BYTES)
        return junit.parse(body), ""
    except ToolError:
        return {}, "" if outcome.stopped else "the command wrote no test report"
    except ValueError as error:
        return {}, str(error)


def _whole(outcome: Outcome, trouble: str) -> dict[str, str]:
    ending = f"stopped by its limit ({outcome.stopped})" if outcome.stopped else f"exit status {outcome.exit}"
    return {compare.WHOLE: "\n".join(part for part in (trouble, ending, junit.tidy(outcome.text)) if part)}


def _bytes(outcome: Outcome) -> bytes:
    return outcome.text.encode() if outcome.dropped else outcome.output
