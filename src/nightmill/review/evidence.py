"""Which acceptance criteria are shown, and by which tests that the engine ran itself.

An agent says, per criterion, what shows it: test ids or commands, in its own words. Words prove nothing, so each
is looked up in the results. A test is named in any of these ways, and `match` documents how far it is guessed:

- `tests/test_parse.py::TestDate::test_leap` — pytest's own id;
- `tests.test_parse.TestDate.test_leap` — dotted, as JUnit reports name it;
- `test_parse.py::test_leap`, `TestDate.test_leap`, `test_leap` — the end of an id, if only one test ends so;
- without `[…]` — all its parameters, which must all have passed.

A whole check is named by its name or by its exact command, with or without backquotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nightmill.review.junit import Told
from nightmill.review.nouns import Check, CheckResult, Evidence
from nightmill.spec import Criterion

__all__ = ["Results", "collect", "match"]

LONGEST_CLAIM = 20_000

pointer = re.compile(r"[\w./\\-]+(?:::[\w.-]+)*(?:\[[^\]\n]{0,200}\])?")
extension = re.compile(r"\.py(?=::|\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the engine saw on the tree: the checks, how they ended, and every test by id."""

    checks: tuple[Check, ...]
    results: tuple[CheckResult, ...]
    tests: Mapping[str, Told]


def collect(
    criteria: Sequence[Criterion], claims: Sequence[tuple[str, str]], *, found: Results
) -> tuple[Evidence, ...]:
    """One `Evidence` per criterion, in the order of *criteria*; claims for other ids are dropped."""
    return tuple(
        _judge(criterion, [text for name, text in claims if _same(name, criterion.id)], found) for criterion in criteria
    )


def match(words: str, tests: Iterable[str]) -> tuple[str, ...]:
    """The ids that *words* names: equal once dotted, or the one test (with all its parameters) that ends so."""
    wanted = _dotted(words)
    if not wanted or not re.search(r"\w", wanted):
        return ()
    known = {name: _dotted(name) for name in tests}
    exact = tuple(name for name, dotted in known.items() if dotted == wanted or _bare(dotted) == wanted)
    if exact:
        return exact
    ends = {name: dotted for name, dotted in known.items() if f".{dotted}".endswith(f".{wanted}")}
    ends = ends or {name: dotted for name, dotted in known.items() if f".{_bare(dotted)}".endswith(f".{wanted}")}
    return tuple(ends) if len({_bare(dotted) for dotted in ends.values()}) == 1 else ()


def _judge(criterion: Criterion, claims: list[str], found: Results) -> Evidence:
    if not claims:
        return _evidence(criterion, "not shown", (), "the agent named nothing that shows it")
    words = "\n".join(claims)[:LONGEST_CLAIM]
    named = _named_tests(words, found.tests)
    broken = [name for name in named if found.tests[name].outcome != "passed"]
    if broken:
        note = f"named test did not pass on this tree: {broken[0]} ({found.tests[broken[0]].outcome})"
        return _evidence(criterion, "not shown", tuple(set(named) - set(broken)), note)
    checks = _named_checks(words, found)
    failed = [result.check for result in checks if not result.passed]
    if failed:
        return _evidence(criterion, "not shown", tuple(named), f"named check did not pass on this tree: {failed[0]}")
    by = (*named, *(result.check for result in checks))
    if by:
        return _evidence(criterion, "shown", by, "")
    return _evidence(criterion, "claimed", (), f"no test or check of that name ran: {words[:200]}")


def _evidence(criterion: Criterion, state: str, by: tuple[str, ...], note: str) -> Evidence:
    kinds = {"shown": "shown", "claimed": "claimed"}
    return Evidence(
        criterion=criterion.id,
        text=criterion.text,
        state=kinds.get(state, "not shown"),  # type: ignore[arg-type] # the three words of the Literal
        by=tuple(sorted(by)),
        note=note,
    )


def _named_tests(words: str, tests: Mapping[str, Told]) -> list[str]:
    """Whole lines and comma-separated parts first: an id's parameters may hold spaces; then every word."""
    parts = [part.strip(" \t`'\"-*•") for part in re.split(r"[\n,;]", words)]
    candidates = dict.fromkeys([*parts, *(word.rstrip(".") for word in pointer.findall(words))])
    # A bare word such as "passed" or "tests" names no test: a pointer has a separator or says test.
    likely = [word for word in candidates if "test" in word.lower() or "::" in word]
    return list(dict.fromkeys(name for word in likely for name in match(word, tests)))


def _named_checks(words: str, found: Results) -> list[CheckResult]:
    lines = {line.strip(" \t`-*$").casefold() for line in re.split(r"[\n,;]", words)}
    quoted = {text.strip().casefold() for text in re.findall(r"`([^`\n]+)`", words)}
    called = {check.name: {check.name.casefold(), check.command.strip().casefold()} for check in found.checks}
    return [result for result in found.results if called.get(result.check, set()) & (lines | quoted)]


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _bare(dotted: str) -> str:
    return dotted.partition("[")[0]


def _dotted(name: str) -> str:
    """One spelling for all: separators are dots, no leading "./", no ".py"; parameters are left alone."""
    head, bracket, rest = name.strip().partition("[")
    head = extension.sub("", head.removeprefix("./").replace("\\", "/"))
    return head.replace("::", ".").replace("/", ".").strip(".") + bracket + rest
