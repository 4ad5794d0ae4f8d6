"""Tests that a change takes away or weakens, and bounds that it lowers: read from the lines that go and come, in any language.

What counts is what is fewer or new over all files together, so that moving a test is no loss, and a mark that was there
before is none of the change's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nightmill.code.change import Change, is_test

__all__ = ["Delta", "asserts", "deltas", "loosened", "marks", "names", "tests"]

MOST_OF_LINE = 300
NAMED = re.compile(
    r"^(?:async\s+)?def\s+(test\w*)\s*\("  # Python, Ruby
    r"|^func\s+(Test\w+)\s*\("  # Go
    r"|\b(?:it|test)(?:\.\w+)?\(\s*[\"'`]([^\"'`]{1,120})[\"'`]\s*,"  # JavaScript
    r"|^(?:it|specify)\s+[\"']([^\"']{1,120})[\"']\s+do\b"  # RSpec
    r"|^#\[.*\bfn\s+(\w+)"  # Rust
    r"|^(?:@(?:Test|ParameterizedTest)|\[(?:Fact|Theory|Test|TestMethod))\b.*?\b(\w+)\s*\([^()]*\)[\w\s]*\{?$"  # Java, C#
)
MARKED = re.compile(r"^(?:#\[(?:\w+::)*test\b|@(?:Test|ParameterizedTest)\b|\[(?:Fact|Theory|Test|TestMethod)\b)")
"""What stands on a line before a test, or at the beginning of its own."""
DEFINES = re.compile(r"\bfn\s+\w+|\w\s*\([^()]*\)[^;]*$")
MARKING = (".rs", ".java", ".kt", ".cs")
MOST_MARKS = 6
"""Lines between the mark of a test and its name."""
ASSERTS = re.compile(
    r"^assert\b|\bassert\w*\s*[!(.]|\.assert\w*\(|\bexpect\w*\(|\brequire\.\w+\(|\bt\.(?:Error|Fatal)\w*\(|\.should\b|\braises\("
)
MARKS = re.compile(
    r"mark\.(?:skip|skipif|xfail)\b|\bpytest\.(?:skip|xfail)\(|\bunittest\.(?:skip|expectedFailure)\w*|\.skipTest\("
    r"|\braise (?:\w+\.)*SkipTest\b"
    r"|\b(?:it|test|describe|context|suite)\.(?:skip|only|todo|failing)\b|\bx(?:it|describe|test)\(|\bf(?:it|describe)\("
    r"|\bt\.Skip\w*\(|#\[ignore|@(?:Disabled|Ignore)\b|\bSkip\s*=\s*\"|\bpending\b\s+[\"']"
    r"|\bassert\s+True\s*(?:$|[,#])|\bassertTrue\(\s*[Tt]rue\s*\)|\bexpect\(\s*true\s*\)\.toBe(?:\(true\)|Truthy)"
)
LOOSE = re.compile(
    r"\|\|\s*(?:true|:|exit 0)\b|\bcontinue-on-error:\s*true|\ballow_failure:\s*true|--deselect\b|--ignore[= ]|--ignore-glob"
    r"|-k\s+[\"']?not\b|\bignore_errors\s*=\s*true|--passWithNoTests|--exit-zero\b|\bcollect_ignore\b"
    r"|\bdef pytest_(?:collection_modifyitems|ignore_collect|pyfunc_call|runtest_(?:makereport|protocol|call))\b",
    re.IGNORECASE,
)
"""What makes a check pass that does not."""
LEAST = re.compile(
    r"(?P<name>fail[_-]under|min[_-]?coverage|coverage[_-]?threshold|\b(?:branches|functions|lines|statements|threshold|target))"
    r"[\"']?\s*[:= ]\s*[\"']?(?P<value>\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
MOST_ALLOWED = re.compile(
    r"(?P<name>max[_-](?:warnings|complexity|failures|args|branches|statements))[\"']?\s*[:= ]\s*[\"']?(?P<value>\d+)"
)


class Delta(NamedTuple):
    """What went away from a file and what came, by line without its indentation; *old*: the file was there."""

    path: str
    old: bool
    gone: Counter[str]
    new: Counter[str]


def deltas(changes: Iterable[Change]) -> tuple[Delta, ...]:
    """What each of *changes* took away and brought. Lines that stay are looked at no more: a file may be long."""
    return tuple(_delta(change) for change in changes)


def tests(found: Sequence[Delta]) -> dict[str, int]:
    """How many tests of a name were added, or taken away."""
    net: Counter[str] = Counter()
    for each in found:
        if is_test(each.path):
            net.update(names(each.new))
            net.subtract(names(each.gone))
    return {name: count for name, count in net.items() if count}


def names(lines: Counter[str]) -> Counter[str]:
    """The tests that *lines* define, by name."""
    found: Counter[str] = Counter()
    for line, count in lines.items():
        for match in NAMED.finditer(line):
            found[next(name for name in match.groups() if name)] += count
    return found


def asserts(found: Sequence[Delta]) -> tuple[int, str, list[str]]:
    """How many assertions fewer there are, in which file, and the lines of some that went; 0 if there are as many."""
    gone, new = _all(found, ASSERTS)
    fewer = gone.total() - new.total()
    if fewer <= 0:
        return 0, "", []
    return fewer, next(each.path for each in found if _matching(each.gone, ASSERTS)), list(gone - new)


def marks(found: Sequence[Delta]) -> list[tuple[str, str]]:
    """Path and line of new marks that skip tests in files that were there; one that only moved went away elsewhere."""
    gone, _ = _all(found, MARKS)
    return [(each.path, line) for each in found if each.old for line in _matching(each.new, MARKS) - gone]


def loosened(delta: Delta) -> list[str]:
    """What in *delta* makes a check pass that would not: it is told not to fail, or a bound is lower or gone."""
    found = [f"new: {line[:160]}" for line in _matching(delta.new, LOOSE)]
    old, now = _bounds(delta.gone, LEAST), _bounds(delta.new, LEAST)
    found += [f"{name} was {old[name]:g} and is {now[name]:g}" for name in old if now.get(name, old[name]) < old[name]]
    found += [f"{name} is gone" for name in old if name not in now and "fail" in name]
    old, now = _bounds(delta.gone, MOST_ALLOWED), _bounds(delta.new, MOST_ALLOWED)
    found += [f"{name} was {old[name]:g} and is {now[name]:g}" for name in old if now.get(name, old[name]) > old[name]]
    return found


def _bounds(lines: Iterable[str], pattern: re.Pattern[str]) -> dict[str, float]:
    return {match["name"].lower(): float(match["value"]) for line in lines for match in pattern.finditer(line)}


def _delta(change: Change) -> Delta:
    before, after = (Counter(_lines(change.path, text)) for text in (change.before, change.after))
    return Delta(change.path, change.before is not None, before - after, after - before)


def _lines(path: str, text: str | None) -> Iterator[str]:
    """Lines of *text*, cut at a bound; where a mark makes a test, it stands on the line of its name."""
    marks: list[str] = []
    for raw in (text or "").splitlines():
        line = raw.strip()[:MOST_OF_LINE]
        if not path.endswith(MARKING):
            yield line
        elif (marks or MARKED.match(line)) and not DEFINES.search(line) and len(marks) < MOST_MARKS:
            marks.append(line)
        else:
            yield " ".join((*marks, line))
            marks = []
    yield from marks


def _all(tested: Sequence[Delta], pattern: re.Pattern[str]) -> tuple[Counter[str], Counter[str]]:
    """The lines with *pattern* that went away, and those that came, over all of *tested*."""
    gone = sum((_matching(each.gone, pattern) for each in tested), Counter[str]())
    new = sum((_matching(each.new, pattern) for each in tested), Counter[str]())
    return gone - new, new - gone


def _matching(lines: Counter[str], pattern: re.Pattern[str]) -> Counter[str]:
    return Counter({line: count for line, count in lines.items() if pattern.search(line)})
