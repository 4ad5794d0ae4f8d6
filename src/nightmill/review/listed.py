"""Which tests a check told of and how each ended, kept beside its result, so that a test that is named later can be looked up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from nightmill.review.evidence import match
from nightmill.review.formats import WORST, Outcome, Told

__all__ = ["LARGEST", "Listed", "listing", "read"]

LARGEST = 8 << 20
"""Bytes of one list. A test that finds no room in it is not known to have passed."""


def listing(tests: Iterable[Told], *, largest: int = LARGEST) -> bytes:
    """The ids of *tests* by how they ended, as JSON of at most about *largest* bytes."""
    found: dict[str, list[str]] = {outcome: [] for outcome in get_args(Outcome)}
    room = largest
    for each in sorted(tests, key=lambda test: test.id):
        room -= len(json.dumps(each.id)) + 2
        if room >= 0:
            found[each.outcome].append(each.id)
    return json.dumps(found).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How the tests of all checks of one proof ended, by id; of one that several checks ran, the worst.

    *names*: whether any check names its tests. *passed*: where none does, whether all checks passed, which is then all that
    is known.
    """

    outcomes: Mapping[str, Outcome]
    names: bool
    passed: bool

    def amiss(self, name: str) -> str:
        """Why the test that somebody calls *name* is not seen to pass; "" if it is, with all its parameters."""
        if not self.names:
            return "" if self.passed else "no check names its tests, and they did not all pass"
        found = match(name, self.outcomes)
        if not found:
            return f"no test {name!r} is named by the checks"
        bad = [each for each in found if self.outcomes[each] != "passed"]
        return f"the test {bad[0]!r} ended as {self.outcomes[bad[0]]}" if bad else ""


def read(results: Sequence[Mapping[str, Any]], kept: Callable[[str], bytes]) -> Listed:
    """What the *results* of a proof, as plain data, list: `tests` is the name under which a list is *kept*, "" for none."""
    outcomes: dict[str, Outcome] = {}
    lists = [str(each["tests"]) for each in results if each.get("tests")]
    for each in lists:
        told: dict[Outcome, list[str]] = json.loads(kept(each))
        for outcome, names in told.items():
            outcomes |= {name: max(outcome, outcomes.get(name, outcome), key=WORST.__getitem__) for name in names}
    return Listed(
        outcomes=outcomes,
        names=bool(lists),
        passed=bool(results) and all(each.get("passed") for each in results),
    )
