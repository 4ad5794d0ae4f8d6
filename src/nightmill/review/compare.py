"""What is new in how a check ended, against what the baseline knows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from nightmill.review.formats import Covered, Told
from nightmill.review.nouns import Baseline, Failure, Flake

__all__ = ["WHOLE", "count", "failed", "known_before", "known_flake", "lowered", "missing", "short", "sort"]

WHOLE = ""
"""The id under which a check as a whole fails."""

LEAST, LOWER = "coverage", "coverage lowered"
"""The ids under which too little is covered, and less than before."""


def failed(tests: Mapping[str, Told]) -> dict[str, str]:
    """The messages of the tests that failed or broke, by id."""
    return {test.id: test.message for test in tests.values() if test.outcome in {"failed", "error"}}


def count(tests: Iterable[Told]) -> dict[str, int]:
    """Tests by outcome, all four named."""
    found = Counter(test.outcome for test in tests)
    return {"passed": found["passed"], "failed": found["failed"], "error": found["error"], "skipped": found["skipped"]}


def sort(messages: Mapping[str, str], *, check: str, baseline: Baseline | None) -> tuple[Failure, ...]:
    """Each failure with what the baseline knows of it: failed before ("old"), unsteady ("flaky"), or "new"."""
    old = set(baseline.failing.get(check, ())) if baseline else set()
    flaky = {*baseline.flaky.get(check, ()), *baseline.flakes.get(check, ())} if baseline else set()
    return tuple(
        Failure(id=name, message=message, kind="old" if name in old else "flaky" if name in flaky else "new")
        for name, message in sorted(messages.items())
    )


def missing(tests: Mapping[str, Told], *, check: str, baseline: Baseline | None) -> tuple[str, ...]:
    """Tests that passed before and are gone or skipped now: nothing says any more that what they show still holds.

    One that moved to another file under its name is not gone.
    """
    if baseline is None:
        return ()
    ran = {name for name, test in tests.items() if test.outcome != "skipped"}
    before = {*baseline.passing.get(check, ()), *baseline.failing.get(check, ()), *baseline.flaky.get(check, ())}
    moved = Counter(_own(name) for name in ran - before)
    gone = []
    for name in sorted(baseline.passing.get(check, ())):
        if name == WHOLE or name in ran:
            continue
        if moved[_own(name)] and name not in tests:
            moved[_own(name)] -= 1
        else:
            gone.append(name)
    return tuple(gone)


def known_before(name: str, *, check: str, baseline: Baseline | None) -> bool:
    """Whether *name* passed on the base, so that one failure may be its own unsteadiness and not the change's."""
    return baseline is not None and name in baseline.passing.get(check, ())


def known_flake(name: str, *, check: str, baseline: Baseline | None) -> Flake | None:
    """What is known of *name* being unsteady."""
    if baseline is None:
        return None
    found = baseline.flakes.get(check, {}).get(name)
    return found or (Flake(failed=1, runs=3) if name in baseline.flaky.get(check, ()) else None)


def short(covered: Covered | None, *, least: float) -> dict[str, str]:
    """Why *covered* is less than *least* percent, by id."""
    if covered is None or covered.percent >= least:
        return {}
    return {LEAST: f"{covered.percent:.2f} % is covered ({covered.covered} of {covered.all}), {least:g} % has to be"}


def lowered(covered: Covered | None, *, before: Covered | None) -> dict[str, str]:
    """Why *covered* is less than *before*, by id: a smaller share, and more left out.

    Taking covered code away lowers the share too, and leaves nothing out that was not before: that is no loss.
    """
    if covered is None or before is None or covered.percent >= before.percent:
        return {}
    if covered.all - covered.covered <= before.all - before.covered:
        return {}
    now = f"{covered.percent:.2f} % is covered ({covered.covered} of {covered.all})"
    return {LOWER: f"{now}, {before.percent:.2f} % before ({before.covered} of {before.all})"}


def _own(name: str) -> str:
    """The name of a test without the file that it stands in; of one that names no file, all of it."""
    path, separator, rest = name.partition("::")
    return rest if separator and "." in path.rpartition("/")[2] else name
