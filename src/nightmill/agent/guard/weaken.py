"""Tests that are deleted or weakened, and bounds of checks that are lowered: seen in the text before and after.

What counts is what is fewer or new over all files of a turn, so that moving a test is no loss, and a mark that was there
before is none of the agent's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from nightmill.agent.guard.ladder import Fault
from nightmill.agent.guard.watch import SETUP, Change, is_test
from nightmill.agent.nouns import AgentState, Finding

__all__ = ["Delta", "balance", "deltas", "findings", "settled", "tests", "weakened"]

MOST = 12
GUARD = "weakened_tests"
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
    r"|\b(?:it|test|describe|context|suite)\.(?:skip|only|todo|failing)\b|\bx(?:it|describe|test)\(|\bf(?:it|describe)\("
    r"|\bt\.Skip\w*\(|#\[ignore|@(?:Disabled|Ignore)\b|\bSkip\s*=\s*\"|\bpending\b\s+[\"']"
    r"|\bassert\s+True\s*(?:$|[,#])|\bassertTrue\(\s*[Tt]rue\s*\)|\bexpect\(\s*true\s*\)\.toBe(?:\(true\)|Truthy)"
)
LOOSE = re.compile(
    r"\|\|\s*(?:true|:|exit 0)\b|\bcontinue-on-error:\s*true|\ballow_failure:\s*true|--deselect\b|--ignore[= ]|--ignore-glob"
    r"|-k\s+[\"']?not\b|\bignore_errors\s*=\s*true|--passWithNoTests|--exit-zero\b|\bcollect_ignore\b",
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
            net.update(_names(each.new))
            net.subtract(_names(each.gone))
    return {name: count for name, count in net.items() if count}


def balance(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """The tests that the whole work added and took away, by name."""
    names = dict.fromkeys((*before, *now))
    sums = {name: before.get(name, 0) + now.get(name, 0) for name in names}
    return {name: count for name, count in sums.items() if count}


def findings(state: AgentState, found: Sequence[Delta]) -> tuple[Finding, ...]:
    """How what verifies the work was weakened."""
    tested = [each for each in found if is_test(each.path)]
    gone = _gone(state, tested)
    lost = [] if any(_names(each.gone) - _names(each.new) for each in tested) else _asserts(tested)
    loosened = [finding for each in found if SETUP.search(each.path) and each.old for finding in _loosened(each)]
    return (*gone, *lost, *_marks(tested), *loosened)[:MOST]


def weakened(found: Sequence[Finding]) -> Fault | None:
    """The fault that *found* are."""
    if not found:
        return None
    lines = "\n".join(f"- {each.path}: {each.what}" for each in found)
    told = "; ".join(f"{each.path}: {each.what}" for each in found)
    return Fault(guard=GUARD, evidence=told, values=(("lines", lines),))


def settled(found: Iterable[Finding], net: Mapping[str, int]) -> tuple[Finding, ...]:
    """*found* without tests that turned up again elsewhere."""
    return tuple(each for each in found if not each.test or net.get(each.test, 0) < 0)


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


def _names(lines: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line, count in lines.items():
        for match in NAMED.finditer(line):
            found[next(name for name in match.groups() if name)] += count
    return found


def _gone(state: AgentState, tested: Sequence[Delta]) -> list[Finding]:
    net = balance(state.tests, tests(tested))
    found: list[Finding] = []
    for each in tested:
        gone, new = _names(each.gone), _names(each.new)
        if new.total() >= gone.total():  # renamed, if anything
            continue
        lost = [name for name in (gone - new) if net.get(name, 0) < 0]
        if not lost and sum(net.values()) < 0:  # renamed first, and then taken away
            what = f"{gone.total() - new.total()} fewer tests"
            found.append(Finding(guard=GUARD, path=each.path, what=what))
        found += [Finding(guard=GUARD, path=each.path, what=f"test {name} is gone", test=name) for name in lost]
    return found


def _asserts(tested: Sequence[Delta]) -> list[Finding]:
    gone, new = _all(tested, ASSERTS)
    fewer = gone.total() - new.total()
    if fewer <= 0:
        return []
    shown = "; ".join(list(gone - new)[:3])
    path = next(each.path for each in tested if _matching(each.gone, ASSERTS))
    return [Finding(guard=GUARD, path=path, what=f"{fewer} fewer assertions: {shown[:200]}")]


def _marks(tested: Sequence[Delta]) -> list[Finding]:
    """New marks in files that were there; one that only moved went away elsewhere."""
    gone, _ = _all(tested, MARKS)
    found: list[Finding] = []
    for each in tested:
        new = _matching(each.new, MARKS) - gone if each.old else ()
        found += [Finding(guard=GUARD, path=each.path, what=f"new: {line[:160]}") for line in new]
    return found


def _loosened(delta: Delta) -> list[Finding]:
    found = [f"new: {line[:160]}" for line in _matching(delta.new, LOOSE)]
    old, now = _bounds(delta.gone, LEAST), _bounds(delta.new, LEAST)
    found += [f"{name} was {old[name]:g} and is {now[name]:g}" for name in old if now.get(name, old[name]) < old[name]]
    found += [f"{name} is gone" for name in old if name not in now and "fail" in name]
    old, now = _bounds(delta.gone, MOST_ALLOWED), _bounds(delta.new, MOST_ALLOWED)
    found += [f"{name} was {old[name]:g} and is {now[name]:g}" for name in old if now.get(name, old[name]) > old[name]]
    return [Finding(guard=GUARD, path=delta.path, what=what) for what in found]


def _bounds(lines: Iterable[str], pattern: re.Pattern[str]) -> dict[str, float]:
    return {match["name"].lower(): float(match["value"]) for line in lines for match in pattern.finditer(line)}


def _all(tested: Sequence[Delta], pattern: re.Pattern[str]) -> tuple[Counter[str], Counter[str]]:
    """The lines with *pattern* that went away, and those that came, over all of *tested*."""
    gone = sum((_matching(each.gone, pattern) for each in tested), Counter[str]())
    new = sum((_matching(each.new, pattern) for each in tested), Counter[str]())
    return gone - new, new - gone


def _matching(lines: Counter[str], pattern: re.Pattern[str]) -> Counter[str]:
    return Counter({line: count for line, count in lines.items() if pattern.search(line)})
