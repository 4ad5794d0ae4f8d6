"""Tests that are deleted or weakened, and bounds of checks that are lowered: seen in the text before and after.

What counts is what is fewer or new over all files of a turn, so that moving a test is no loss, and a mark that was there
before is none of the agent's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from nightmill.agent.guard.ladder import Fault
from nightmill.agent.guard.watch import SETUP, Change, is_test
from nightmill.agent.nouns import AgentState, Finding

__all__ = ["balance", "findings", "settled", "tests", "weakened"]

MOST = 12
LONGEST = 2_000
"""Characters of a line that anybody wrote."""
GUARD = "weakened_tests"
NAMED = re.compile(
    r"^[ \t]*(?:async\s+)?def\s+(test\w*)\s*\("  # Python, Ruby
    r"|^[ \t]*func\s+(Test\w+)\s*\("  # Go
    r"|\b(?:it|test)(?:\.\w+)?\(\s*[\"'`](.{1,120}?)[\"'`]\s*,"  # JavaScript
    r"|^[ \t]*(?:it|specify)\s+[\"'](.{1,120}?)[\"']\s+do\b"  # RSpec
    r"|#\[(?:\w+::)*test\b[^\[\]]{0,200}\]\s{0,80}(?:#\[[^\]]{0,200}\]\s{0,80}){0,8}(?:pub\s+)?(?:async\s+)?fn\s+(\w+)"  # Rust
    r"|@(?:Test|ParameterizedTest)\b(?:[^;{@]|@(?!Test|Param)){0,200}?\s(\w{1,200})\s{0,8}\(\s{0,8}\)[\w\s]{0,200}\{"  # Java, Kotlin
    r"|\[(?:Fact|Theory|Test|TestMethod)\b(?:[^;{\[]|\[(?!Fact|T)){0,200}?\s(\w{1,200})\s{0,8}\(",  # C#
    re.MULTILINE,
)
"""Files may be a megabyte of anything: no two parts beside each other fit the same signs without a bound, and what looks
ahead stops where it would begin anew."""
ASSERTS = re.compile(
    r"^\s*assert\b|\bassert\w*\s*[!(.]|\.assert\w*\(|\bexpect\w*\(|\brequire\.\w+\(|\bt\.(?:Error|Fatal)\w*\(|\.should\b|\braises\("
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
    r"[\"']?\s{0,8}[:= ]\s{0,8}[\"']?(?P<value>\d{1,12}(?:\.\d{1,12})?)",
    re.IGNORECASE,
)
MOST_OF = re.compile(
    r"(?P<name>max[_-](?:warnings|complexity|failures|args|branches|statements))[\"']?\s{0,8}[:= ]\s{0,8}[\"']?(?P<value>\d{1,12})"
)


def tests(changes: Sequence[Change]) -> dict[str, int]:
    """How many tests of a name *changes* added, or took away."""
    net: Counter[str] = Counter()
    for change in changes:
        if is_test(change.path):
            net.update(_names(change.after))
            net.subtract(_names(change.before))
    return {name: count for name, count in net.items() if count}


def balance(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """The tests that the whole work added and took away, by name."""
    names = dict.fromkeys((*before, *now))
    sums = {name: before.get(name, 0) + now.get(name, 0) for name in names}
    return {name: count for name, count in sums.items() if count}


def findings(state: AgentState, changes: Sequence[Change]) -> tuple[Finding, ...]:
    """How *changes* weaken what verifies the work."""
    tested = [change for change in changes if is_test(change.path)]
    gone = _gone(state, tested)
    lost = [] if gone or _moved(tested) else _asserts(tested)
    marked = _marks([change for change in tested if change.before is not None], changes)
    loosened = [each for change in changes if SETUP.search(change.path) for each in _loosened(change)]
    return (*gone, *lost, *marked, *loosened)[:MOST]


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


def _names(text: str | None) -> list[str]:
    return [next(name for name in found.groups() if name) for found in NAMED.finditer(text or "")]


def _gone(state: AgentState, tested: Sequence[Change]) -> list[Finding]:
    net = balance(state.tests, tests(tested))
    found: list[Finding] = []
    for change in tested:
        before, after = Counter(_names(change.before)), Counter(_names(change.after))
        if after.total() >= before.total():  # renamed, if anything
            continue
        lost = [name for name in (before - after) if net.get(name, 0) < 0]
        if not lost and sum(net.values()) < 0:  # renamed first, and then taken away
            what = f"{before.total() - after.total()} fewer tests"
            found.append(Finding(guard=GUARD, path=change.path, what=what))
        found += [Finding(guard=GUARD, path=change.path, what=f"test {name} is gone", test=name) for name in lost]
    return found


def _moved(tested: Sequence[Change]) -> bool:
    """Whether tests went away that are elsewhere: their assertions went with them."""
    return any(Counter(_names(change.before)) - Counter(_names(change.after)) for change in tested)


def _asserts(tested: Sequence[Change]) -> list[Finding]:
    gone, new = _lines(tested, ASSERTS)
    fewer = gone.total() - new.total()
    if fewer <= 0:
        return []
    shown = "; ".join(list(gone - new)[:3])
    path = next(
        change.path for change in tested if _matching(change.before, ASSERTS) - _matching(change.after, ASSERTS)
    )
    return [Finding(guard=GUARD, path=path, what=f"{fewer} fewer assertions: {shown[:200]}")]


def _marks(tested: Sequence[Change], changes: Sequence[Change]) -> list[Finding]:
    gone, _ = _lines(changes, MARKS)
    found: list[Finding] = []
    for change in tested:
        new = (_matching(change.after, MARKS) - _matching(change.before, MARKS)) - gone
        found += [Finding(guard=GUARD, path=change.path, what=f"new: {line[:160]}") for line in new]
    return found


def _loosened(change: Change) -> list[Finding]:
    if change.before is None:
        return []
    new = _matching(change.after, LOOSE) - _matching(change.before, LOOSE)
    found = [Finding(guard=GUARD, path=change.path, what=f"new: {line[:160]}") for line in new]
    for pattern, weaker in ((LEAST, float.__lt__), (MOST_OF, float.__gt__)):
        old, now = _bounds(change.before, pattern), _bounds(change.after, pattern)
        for name in old.keys() & now.keys():
            if weaker(now[name], old[name]):
                what = f"{name} was {old[name]:g} and is {now[name]:g}"
                found.append(Finding(guard=GUARD, path=change.path, what=what))
        if pattern is LEAST:
            gone = sorted(old.keys() - now.keys())
            found += [Finding(guard=GUARD, path=change.path, what=f"{name} is gone") for name in gone if "fail" in name]
    return found


def _bounds(text: str | None, pattern: re.Pattern[str]) -> dict[str, float]:
    return {found["name"].lower(): float(found["value"]) for found in pattern.finditer(text or "")}


def _lines(changes: Sequence[Change], pattern: re.Pattern[str]) -> tuple[Counter[str], Counter[str]]:
    """The lines with *pattern* that went away in *changes*, and those that came."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for change in changes:
        before += _matching(change.before, pattern)
        after += _matching(change.after, pattern)
    return before - after, after - before


def _matching(text: str | None, pattern: re.Pattern[str]) -> Counter[str]:
    return Counter(
        line.strip() for line in (text or "").splitlines() if 0 < len(line) < LONGEST and pattern.search(line)
    )
