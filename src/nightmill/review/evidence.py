"""Which acceptance criteria are shown, and by which tests that the engine ran itself.

An agent says, per criterion, what shows it: test ids or commands, in its own words. Words prove nothing, so each
is looked up in the results. A test is named in any of these ways, and `match` documents how far it is guessed:

- `tests/test_parse.py::TestDate::test_leap` — pytest's own id;
- `tests.test_parse.TestDate.test_leap` — dotted, as JUnit reports name it;
- `test_parse.py::test_leap`, `TestDate.test_leap`, `test_leap` — the end of an id, if only one test ends so;
- `tests/test_parse.py::test_leap` — without its class, if only one test of that file ends so;
- without `[…]` — all its parameters, which must all have passed.

A whole check is named by its name or by its exact command, with or without backquotes. Where only reading shows it, lines
are quoted, `path:first-last` and the text, which has to stand there. A criterion about all tests is none that a test shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nightmill.review.formats import FORMATS, Told
from nightmill.review.nouns import Check, CheckResult, Evidence
from nightmill.review.quote import quoted, verified
from nightmill.spec import Criterion

__all__ = ["Results", "about_all", "collect", "match"]

LONGEST_CLAIM = 20_000

pointer = re.compile(r"[\w./\\-]+(?:::[\w.-]+)*(?:\[[^\]\n]{0,200}\])?")
extension = re.compile(r"\.py(?=::|\.|$)")


about = re.compile(
    r"\b(?:all|every|each|whole|full|entire|existing)\b[^.;]{0,40}\b(?:tests?|suites?|checks?)\b[^.;]{0,30}\b(?:pass|succeed|green|ok\b)"
    r"|\b(?:test suite|tests|ci|checks|ruff|mypy|eslint|linter|lint|type checks?|type checker)\b(?: (?:still|all|must|should|shall"
    r"|have to|has to|continues? to|keeps?))*[^.;\w]{0,3}(?:pass|succeed|(?:is|are|stays?|remains?) (?:green|clean)|reports? no|has no)"
    r"|\bno (?:test )?regressions?\b|\bnothing (?:else )?breaks\b"
    r"|\bcoverage\b[^.;]{0,40}\b(?:at least|not (?:drop|fall|decrease)|above|>=|≥)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the engine saw: the checks, how they ended, every test by id; and the files that claims quote, as in the tree."""

    checks: tuple[Check, ...]
    results: tuple[CheckResult, ...]
    tests: Mapping[str, Told]
    texts: Mapping[str, str] = field(default_factory=dict)


def about_all(text: str) -> bool:
    """Whether a criterion speaks of all tests or of a whole check, which no single test can show."""
    return bool(about.search(text))


def collect(
    criteria: Sequence[Criterion], claims: Sequence[tuple[str, str]], *, found: Results
) -> tuple[Evidence, ...]:
    """One `Evidence` per criterion, in the order of *criteria*; claims for other ids are dropped."""
    return tuple(
        _judge(criterion, [text for name, text in claims if _same(name, criterion.id)], found) for criterion in criteria
    )


def match(words: str, tests: Iterable[str]) -> tuple[str, ...]:
    """The ids that *words* names: equal once dotted, or the one test (with all its parameters) that ends so, or of its file."""
    wanted = _dotted(words)
    if not wanted or not re.search(r"\w", wanted):
        return ()
    known = {name: _dotted(name) for name in tests}
    exact = tuple(name for name, dotted in known.items() if dotted == wanted or _bare(dotted) == wanted)
    if exact:
        return exact
    ends = {name: dotted for name, dotted in known.items() if f".{dotted}".endswith(f".{wanted}")}
    ends = ends or {name: dotted for name, dotted in known.items() if f".{_bare(dotted)}".endswith(f".{wanted}")}
    ends = ends or _of_file(words, known)
    return tuple(ends) if len({_bare(dotted) for dotted in ends.values()}) == 1 else ()


def _of_file(words: str, known: Mapping[str, str]) -> dict[str, str]:
    """Those of *known* that are in the file that *words* names and end as it does, whatever class stands between."""
    path, separator, last = words.strip().rpartition("::")
    if not separator or not _dotted(path):
        return {}
    within, end = f"{_dotted(path)}.", f".{_dotted(last)}"
    return {name: text for name, text in known.items() if text.startswith(within) and _bare(text).endswith(_bare(end))}


def _judge(criterion: Criterion, claims: list[str], found: Results) -> Evidence:
    words = "\n".join(claims)[:LONGEST_CLAIM]
    if about_all(criterion.text):
        return _beside(_whole(criterion, found), _named_tests(words, found.tests), found)
    if not words.strip():
        return _evidence(criterion, note="the agent named nothing that shows it")
    named = _named_tests(words, found.tests)
    broken = [name for name in named if found.tests[name].outcome != "passed"]
    if broken:
        note = f"named test did not pass on this tree: {broken[0]} ({found.tests[broken[0]].outcome})"
        return _evidence(criterion, by=set(named) - set(broken), note=note)
    checks = _named_checks(words, found)
    failed = [result.check for result in checks if not result.passed]
    if failed:
        return _evidence(criterion, by=named, note=f"named check did not pass on this tree: {failed[0]}")
    if named or checks:
        by = {*named, *(result.check for result in checks)}
        return replace(_evidence(criterion, by=by), state="shown", kind="test" if named else "check")
    return _inspected(criterion, words, found)


def _whole(criterion: Criterion, found: Results) -> Evidence:
    """A criterion about all tests is shown by whole checks without any failure, and by nothing less."""
    lower = criterion.text.casefold()
    tools = [check for check in found.checks if _tool(check) and re.search(rf"\b{re.escape(_tool(check))}", lower)]
    suites = [check for check in found.checks if check.format != "exit" and FORMATS[check.format].tests]
    meant = {check.name for check in tools or ("test" in lower and suites) or found.checks}
    results = [result for result in found.results if result.check in meant]
    if not results:
        return _evidence(criterion, note="no check of the project says so")
    for result in results:
        if not result.passed:
            return _evidence(criterion, note=f"check {result.check!r} did not pass on this tree")
        if result.failures:
            first = result.failures[0]
            told = f"check {result.check!r} has {len(result.failures)} failure(s), {first.kind}: {first.id or 'as a whole'}"
            return _evidence(criterion, note=f"{told}; they do not stand in the way, and all do not pass")
    by = {result.check for result in results}
    return replace(_evidence(criterion, by=by), state="shown", kind="check")


def _beside(whole: Evidence, named: list[str], found: Results) -> Evidence:
    """*whole* with the tests that were named too: a criterion may speak of all tests and of something else."""
    broken = [name for name in named if found.tests[name].outcome != "passed"]
    if whole.state != "shown":
        return whole
    if broken:
        note = f"named test did not pass on this tree: {broken[0]} ({found.tests[broken[0]].outcome})"
        return replace(whole, state="not shown", kind="", by=(), note=note)
    return replace(whole, by=tuple(sorted({*whole.by, *named})))


def _inspected(criterion: Criterion, words: str, found: Results) -> Evidence:
    looked = list(verified(quoted(words), found.texts))
    if not looked:
        return replace(_evidence(criterion, note=f"no test or check of that name ran: {words[:200]}"), state="claimed")
    wrong = [why for _, why in looked if why]
    if wrong:
        return _evidence(criterion, note=wrong[0])
    quotes = tuple(quote for quote, _ in looked)
    by = {f"{each.path}:{each.first}-{each.last}" for each in quotes}
    note = "the lines stand there; whether they do it is for a reader to say"
    return replace(_evidence(criterion, by=by, note=note), state="inspected", kind="inspection", quotes=quotes)


def _evidence(criterion: Criterion, *, by: Iterable[str] = (), note: str = "") -> Evidence:
    return Evidence(criterion=criterion.id, text=criterion.text, state="not shown", by=tuple(sorted(by)), note=note)


def _tool(check: Check) -> str:
    """The word by which a criterion means one check and no other."""
    return check.format if check.format in {"ruff", "mypy", "eslint", "coverage"} else ""


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
