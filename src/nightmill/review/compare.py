"""What is new in how a check ended, against what the baseline knows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from nightmill.review.junit import Told
from nightmill.review.nouns import Baseline, Failure

__all__ = ["WHOLE", "count", "failed", "known_before", "missing", "sort"]

WHOLE = ""
"""The id under which a check as a whole fails."""


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
    flaky = set(baseline.flaky.get(check, ())) if baseline else set()
    return tuple(
        Failure(id=name, message=message, kind="flaky" if name in flaky else "old" if name in old else "new")
        for name, message in sorted(messages.items())
    )


def missing(tests: Mapping[str, Told], *, check: str, baseline: Baseline | None) -> tuple[str, ...]:
    """Tests that passed before and are gone or skipped now: nothing says any more that what they show still holds."""
    if baseline is None:
        return ()
    ran = {name for name, test in tests.items() if test.outcome != "skipped"}
    return tuple(sorted(name for name in baseline.passing.get(check, ()) if name != WHOLE and name not in ran))


def known_before(name: str, *, check: str, baseline: Baseline | None) -> bool:
    """Whether *name* passed on the base, so that one failure may be its own unsteadiness and not the change's."""
    return baseline is not None and name in baseline.passing.get(check, ())
