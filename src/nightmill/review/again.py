"""The base's own tests on the change's code: whether tests that were changed hide a failure.

What says how and what is tested is put back as it was, and the checks that tell of tests run once more. A test that passed
on the base, fails so, and did not fail in the proof was changed, skipped or taken away together with what it showed. That
may be what the task asks for; it is a finding either way, and one that blocks where the test was weakened, skipped or deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from nightmill.code import Change, is_setup, is_test, weaken
from nightmill.errors import SandboxError
from nightmill.review import bend, compare
from nightmill.review.bend.signs import Place, Sign
from nightmill.review.formats import FORMATS, gist, tidy
from nightmill.review.nouns import Baseline, Check, CheckResult, Finding, Verdict
from nightmill.review.prove import Case
from nightmill.review.report import LIMITS, Once, once
from nightmill.review.run import Progress, reset
from nightmill.sandbox import Command, Workspace

__all__ = ["again", "worth"]

WEAKER = {"test deleted", "test skipped", "test emptied", "test weakened"}
MOST = 50
RESTORE = """
set -e
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
test ! -s "$2" || git -c core.hooksPath=/dev/null checkout -q "$1" --pathspec-from-file="$2" --pathspec-file-nul
test ! -s "$3" || git rm -q -f --ignore-unmatch --pathspec-from-file="$3" --pathspec-file-nul
git -c core.hooksPath=/dev/null -c user.name=base -c user.email=base@invalid commit -q --allow-empty -m 'tests of the base'
"""


def worth(case: Case, verdict: Verdict) -> bool:
    """Whether a test that the base has reads otherwise now, or what sets tests up does; tests that only came do not count."""
    if not any(FORMATS[check.format].tests for check in case.checks if check.format != "exit"):
        return False
    if any(each.kind in WEAKER for each in verdict.findings):
        return True
    deltas = weaken.deltas(each for each in case.changes if is_test(each.path))
    changed = any(
        line for each in deltas for line in each.gone if line and not line.startswith(("import ", "from ", "#"))
    )
    return changed or any(is_setup(each.path) for each in case.changes)


async def again(workspace: Workspace, case: Case, verdict: Verdict, *, progress: Progress) -> Verdict:
    """*verdict* with what the base's tests say. *workspace* is fresh and holds `case.tree`, with the base in its history.

    Raises:
        SandboxError: If the tests cannot be put back, or the sandbox failed.
    """
    await _restore(workspace, case)
    results = {result.check: result for result in verdict.results}
    places: list[Place] = []
    for check in case.checks:
        if check.format == "exit" or not FORMATS[check.format].tests or check.name not in results:
            continue
        progress(f"check {check.name}: the tests of the base, on this code")
        broken = await _broken(workspace, check, case)
        places += _compared(broken, check, results[check.name], case, verdict.findings)
    found = bend.judged(places, rules=case.rules)
    why = (*verdict.reasons, *bend.reason(found))
    return replace(verdict, passed=verdict.passed and not why, reasons=why, findings=(*verdict.findings, *found))


async def _restore(workspace: Workspace, case: Case) -> None:
    mine = [each for each in case.changes if is_test(each.path) or is_setup(each.path)]
    back, away = "/tmp/again-back", "/tmp/again-away"  # noqa: S108 - paths inside the sandbox
    for path, names in ((back, [each.path for each in mine if each.before is not None]), (away, _new(mine))):
        await workspace.write(
            path, b"\0".join(f":(literal){name}".encode("utf-8", "surrogateescape") for name in names)
        )
    argv = ("bash", "-c", RESTORE, "restore", case.base_tree, back, away)
    outcome = await workspace.run(Command(argv=argv, limits=replace(LIMITS, seconds=120.0)))
    if outcome.exit or outcome.stopped:
        raise SandboxError(f"the tests of the base cannot be put back: {tidy(outcome.text, limit=400)}")


def _new(changes: Sequence[Change]) -> list[str]:
    return [each.path for each in changes if each.before is None]


async def _broken(workspace: Workspace, check: Check, case: Case) -> dict[str, str]:
    """Tests that passed on the base and fail twice, with what they said; the one of the check as a whole is left out."""
    passing = set(case.baseline.passing.get(check.name, ())) - {compare.WHOLE} - _unsteady(case.baseline, check)
    first = _failed(await once(workspace, check, limits=case.limits), passing)
    await reset(workspace)
    if not first:
        return {}
    second = _failed(await once(workspace, check, limits=case.limits), passing)
    await reset(workspace)
    return {name: message for name, message in first.items() if name in second}


def _failed(ran: Once, passing: set[str]) -> dict[str, str]:
    return {name: message for name, message in ran.messages.items() if name in passing}


def _unsteady(baseline: Baseline, check: Check) -> set[str]:
    return {*baseline.flaky.get(check.name, ()), *baseline.flakes.get(check.name, ())}


def _compared(
    broken: Mapping[str, str], check: Check, result: CheckResult, case: Case, findings: Sequence[Finding]
) -> Iterator[Place]:
    failed = {failure.id for failure in result.failures}
    weaker = [each for each in findings if each.kind in WEAKER]
    for name, message in list(broken.items())[:MOST]:
        if name in failed:
            continue
        path, _, rest = name.partition("::")
        own = rest.rpartition("::")[2].partition("[")[0] or name
        said = f"{own} passes as it is now, and fails as the base has it: {gist(message, limit=300)}"
        lost = name in result.missing or any(own in _words(each.what) for each in weaker)
        skipped = any(each.kind == "test skipped" and each.path == path for each in weaker)
        path = path if any(each.path == path for each in case.changes) else ""
        yield Place(path or check.name, Sign("failure hidden" if lost or skipped else "expectation changed", said, 0))


def _words(text: str) -> set[str]:
    return set(text.replace(".", " ").replace(":", " ").split())
