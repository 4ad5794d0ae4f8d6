"""Run one check on one tree and say how it ended, compared with the baseline.

A check passes when it ran to its end, has no new failure and lost no test. A failure that the baseline does not
know is run again, because one red run cannot tell a broken test from an unsteady one; so is that of a known flake,
because being known for it is no licence to be broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from nightmill.review import compare, flake
from nightmill.review.flake import REPEATS
from nightmill.review.formats import FORMATS, Covered, Told
from nightmill.review.nouns import Baseline, Check, CheckResult, Failure, Flake
from nightmill.review.report import LIMITS, Once, once
from nightmill.sandbox import Command, Limits, Outcome, Workspace

__all__ = ["LIMITS", "REPEATS", "Progress", "Ran", "once", "reset", "run_check"]

STEADY = 2
"""Repeats that a test has to pass before its failure counts as unsteadiness."""
WORTH_REPEATING = 10
"""More new failures than this at once are a broken tree, not unsteady tests."""

Progress = Callable[[str], None]
"""Told in words what goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A check's result, its output as it came, and each test of its report (empty for "exit")."""

    result: CheckResult
    output: bytes
    tests: dict[str, Told] = field(default_factory=dict)


async def run_check(
    workspace: Workspace,
    check: Check,
    *,
    tree: str,
    baseline: Baseline | None,
    progress: Progress,
    limits: Limits = LIMITS,
) -> Ran:
    """Run *check* in *workspace*, which holds *tree*; what may be unsteady up to `REPEATS` times more.

    `Ran.result.output` is left empty: whoever keeps the output knows its blob.
    """
    progress(f"check {check.name}: {check.command}")
    first = await once(workspace, check, limits=limits)
    before = baseline.covered.get(check.name) if baseline else None
    messages = first.messages | compare.lowered(first.covered, before=Covered(*before) if before else None)
    failures = compare.sort(messages, check=check.name, baseline=baseline)
    if not first.outcome.stopped:
        repeating = _Repeating(check=check, baseline=baseline, first=first)
        failures = await repeating.judge(workspace, failures, progress=progress, limits=limits)
    tests = check.format != "exit" and FORMATS[check.format].tests
    lost = compare.missing(first.tests, check=check.name, baseline=baseline) if tests else ()
    new = any(failure.kind == "new" for failure in failures)
    result = CheckResult(
        check=check.name,
        tree=tree,
        exit=first.outcome.exit,
        passed=not new and not lost and not first.outcome.stopped,
        failures=failures,
        counts=compare.count(first.tests.values()) if check.format != "exit" else None,
        missing=lost,
        covered=first.covered,
        flakes=_flakes(first, failures, check=check, baseline=baseline),
        stopped=first.outcome.stopped,
        seconds=round(first.outcome.seconds, 3),
    )
    return Ran(result=result, output=_bytes(first.outcome), tests=first.tests)


async def reset(workspace: Workspace) -> None:
    """Put the checkout back to its commit: what a check wrote must not bend the next."""
    script = "git reset -q --hard HEAD && git clean -fdq"
    await workspace.run(Command(argv=("bash", "-c", script), limits=replace(LIMITS, seconds=120.0)))


@dataclass(slots=True, kw_only=True)
class _Repeating:
    """Tells the failures of *first* that are the change's from those that come and go."""

    check: Check
    baseline: Baseline | None
    first: Once
    repeats: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    """Of each that is still open, how many repeats failed."""
    judged: dict[str, Failure] = field(default_factory=dict)

    async def judge(
        self, workspace: Workspace, failures: tuple[Failure, ...], *, progress: Progress, limits: Limits
    ) -> tuple[Failure, ...]:
        """*failures* with those that were repeated told apart. A test that is new with the change has to be steady."""
        fresh = [each for each in failures if each.kind == "new" and self._passed_before(each.id)]
        fresh = fresh if len(fresh) <= WORTH_REPEATING else []
        open_ = {each.id: each for each in (*fresh, *(each for each in failures if each.kind == "flaky"))}
        self.failed = dict.fromkeys(open_, 0)
        for each in failures:
            if each.kind == "flaky" and self._strange(each.id, each.message):
                self._judge(open_.pop(each.id), "new")
        while open_ and self.repeats < REPEATS:
            told = f"{len(open_)} failure(s) that may come and go, run again ({self.repeats + 1} of {REPEATS} at most)"
            progress(f"check {self.check.name}: {told}")
            await reset(workspace)
            again = await once(workspace, self.check, limits=limits)
            self.repeats += 1
            open_ = {name: each for name, each in open_.items() if not self._settled(each, again)}
        for each in open_.values():
            self._judge(each, "new")
        return tuple(self.judged.get(each.id, each) for each in failures)

    def _settled(self, failure: Failure, again: Once) -> bool:
        """Whether *again* decides what *failure* is."""
        name = failure.id
        if not _passed(again, name):
            self.failed[name] += 1
            known = self._flake(name)
            explained = known and flake.explained(known, failed=self.failed[name], repeats=self.repeats)
            if not explained or self._strange(name, again.messages.get(name, "")):
                self._judge(failure, "new")
                return True
        if self.repeats - self.failed[name] >= STEADY:
            self._judge(failure, "flaky")
            return True
        return False

    def _judge(self, failure: Failure, kind: Literal["new", "flaky"]) -> None:
        failed, runs = 1 + self.failed[failure.id], 1 + self.repeats
        self.judged[failure.id] = replace(failure, kind=kind, failed=failed, runs=runs)

    def _flake(self, name: str) -> Flake | None:
        return compare.known_flake(name, check=self.check.name, baseline=self.baseline)

    def _strange(self, name: str, message: str) -> bool:
        """Whether a known flake failed in a way that it is not known to."""
        known = self._flake(name)
        return bool(known and known.said and flake.signature(message) not in known.said)

    def _passed_before(self, name: str) -> bool:
        return compare.known_before(name, check=self.check.name, baseline=self.baseline)


def _passed(again: Once, name: str) -> bool:
    if compare.WHOLE in again.messages or again.outcome.stopped:
        return False
    if name == compare.WHOLE:
        return True
    return name not in again.messages and name in again.tests and again.tests[name].outcome == "passed"


def _flakes(first: Once, failures: tuple[Failure, ...], *, check: Check, baseline: Baseline | None) -> dict[str, Flake]:
    """What this run says of unsteady tests: how often those failed that came and went, and which known ones did not."""
    known = {*baseline.flaky.get(check.name, ()), *baseline.flakes.get(check.name, ())} if baseline else set()
    steady = {name for name in known if name not in first.messages and _passed(first, name)}
    return {name: Flake(failed=0, runs=1) for name in sorted(steady)} | {
        each.id: Flake(failed=each.failed, runs=each.runs, said=(flake.signature(each.message),))
        for each in failures
        if each.kind == "flaky" and each.runs
    }


def _bytes(outcome: Outcome) -> bytes:
    return outcome.text.encode() if outcome.dropped else outcome.output
