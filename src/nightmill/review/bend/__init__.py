"""What in a change bends the checks that are to prove it. Takes: files before and after. Gives: findings.

Nothing is run here, and what is not written in the change is not seen: a test that was always weak, or an `assert` that a
debugger would have to follow. `review.again` runs the base's own tests for what can be shown by running.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from nightmill.code import Change
from nightmill.review.bend import called, lines, python, settings, tests, text
from nightmill.review.bend.signs import Kind, Place, Sign, appeared
from nightmill.review.nouns import Check, Finding

__all__ = ["RULES", "Rule", "find", "judged", "reason"]

Rule = Literal["block", "ask", "show"]

RULES: Mapping[Kind, Rule] = {
    "test deleted": "ask",  # one that passed on the base is missing from the check, and that blocks
    "test skipped": "block",
    "test emptied": "block",
    "test weakened": "ask",
    "outcome changed": "block",
    "check left": "block",
    "report forged": "block",
    "test detected": "block",
    "startup code": "block",
    "check disabled": "block",
    "check edited": "block",
    "threshold lowered": "block",
    "rules loosened": "ask",
    "suppressed": "ask",
    "setup edited": "show",
    "network used": "ask",
    "secret used": "ask",
    "not read": "block",
    "failure hidden": "block",
    "expectation changed": "ask",
    "test edited": "ask",
}
"""What stands in the way, what a person is asked about before it is merged, and what is only shown; a policy may say otherwise."""

MOST = 40
"""Findings of one kind; what is beyond is counted in the last of them."""


def find(
    changes: Sequence[Change],
    checks: Sequence[Check],
    *,
    rules: Mapping[Kind, Rule] = RULES,
    large: Iterable[str] = (),
) -> tuple[Finding, ...]:
    """What bends *checks* in *changes*, the files that differ between base and final tree, sorted by kind and place.

    Those of them that are too *large* to be read are findings themselves: what they do to the checks, nobody knows.
    """
    unread = (Place(path, Sign("not read", "it is too large to be looked at: over 4 MiB", 0)) for path in large)
    return judged([*_all(changes, checks), *unread], rules=rules)


def judged(places: Iterable[Place], *, rules: Mapping[Kind, Rule] = RULES) -> tuple[Finding, ...]:
    """*places* as findings, each once, no more than `MOST` of a kind."""
    order = list(RULES)
    kept = sorted(dict.fromkeys(places), key=lambda each: (order.index(each.sign.kind), each.path, each.sign.line))
    found: list[Finding] = []
    for kind in order:
        mine = [
            Finding(
                kind=kind, path=path, line=sign.line, what=sign.what[:400], blocks=rules.get(kind, "block") == "block"
            )
            for path, sign in kept
            if sign.kind == kind
        ]
        if len(mine) > MOST:
            more = f"{mine[MOST - 1].what} (and {len(mine) - MOST} more of this kind)"
            mine = [*mine[: MOST - 1], replace(mine[MOST - 1], what=more)]
        found += mine
    return tuple(found)


def reason(found: Iterable[Finding]) -> tuple[str, ...]:
    """Why *found* stand in the way, as shown to the agent and to people; empty if none does."""
    lines = [
        f"- {each.kind}: {each.path}{f':{each.line}' if each.line else ''}: {each.what}"
        for each in found
        if each.blocks
    ]
    if not lines:
        return ()
    told = "the change bends what is to prove it; take this back, or say why a person has to decide it"
    return ("\n".join([f"{told}:", *lines]),)


def _all(changes: Sequence[Change], checks: Sequence[Check]) -> Iterator[Place]:
    suite = tests.suite(changes)
    found = [*_appeared(changes, suite), *tests.deleted(suite), *tests.weakened(suite)]
    found += [*tests.untold(suite, checks), *called.edited(changes, checks), *called.loosened(changes)]
    yield from found
    told = {place.path for place in found}
    yield from (place for place in called.prepared(changes) if place.path not in told)


def _appeared(changes: Sequence[Change], suite: tests.Suite) -> Iterator[Place]:
    for look in (python.look, text.look, lines.look, settings.loose):
        for place in appeared(changes, look):
            if place.sign.kind != "test skipped" or not tests.born_skipped(suite, place):
                yield place
    turned = [Change(each.path, each.after, each.before) for each in changes if each.before is not None]
    for look in (settings.strict, lines.lost):
        for place in appeared(turned, look):
            yield Place(place.path, Sign(place.sign.kind, place.sign.what, 0))
