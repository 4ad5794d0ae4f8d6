"""Whether an agent weakened what verifies its work, in the turn that it did: `nightmill.code.weaken`, over all of its turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from posixpath import basename

from nightmill.agent.guard.ladder import Fault
from nightmill.agent.nouns import AgentState, Finding
from nightmill.code import Change, asserts, is_setup, is_test, weaken
from nightmill.code.weaken import Delta

__all__ = ["balance", "findings", "settled", "weakened"]

MOST = 12
LARGEST = 200_000
"""Characters of a file before and after that are read as Python here; the proof reads larger ones."""
GUARD = "weakened_tests"


def balance(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """The tests that the whole work added and took away, by name."""
    names = dict.fromkeys((*before, *now))
    sums = {name: before.get(name, 0) + now.get(name, 0) for name in names}
    return {name: count for name, count in sums.items() if count}


def findings(state: AgentState, changes: Sequence[Change]) -> tuple[Finding, ...]:
    """How *changes* weakened what verifies the work."""
    found = weaken.deltas(changes)
    tested = [each for each in found if is_test(each.path)]
    gone = _gone(state, tested)
    fewer = any(weaken.names(each.gone) - weaken.names(each.new) for each in tested)
    lost = [] if fewer else _asserts(tested) or _less(changes)
    loosened = [(each.path, what) for each in found if _chooses(each) for what in weaken.loosened(each)]
    marked = [(path, f"new: {line[:160]}") for path, line in weaken.marks(tested)]
    told = [Finding(guard=GUARD, path=path, what=what) for path, what in (*marked, *loosened)]
    return (*gone, *lost, *told)[:MOST]


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


def _gone(state: AgentState, tested: Sequence[Delta]) -> list[Finding]:
    net = balance(state.tests, weaken.tests(tested))
    found: list[Finding] = []
    for each in tested:
        gone, new = weaken.names(each.gone), weaken.names(each.new)
        if new.total() >= gone.total():  # renamed, if anything
            continue
        lost = [name for name in (gone - new) if net.get(name, 0) < 0]
        if not lost and sum(net.values()) < 0:  # renamed first, and then taken away
            what = f"{gone.total() - new.total()} fewer tests"
            found.append(Finding(guard=GUARD, path=each.path, what=what))
        found += [Finding(guard=GUARD, path=each.path, what=f"test {name} is gone", test=name) for name in lost]
    return found


def _chooses(delta: Delta) -> bool:
    """Whether the file says which tests are run and what becomes of them: one that was there, or is over others."""
    return basename(delta.path) in {"conftest.py", "pytest.ini"} or (delta.old and is_setup(delta.path))


def _less(changes: Iterable[Change]) -> list[Finding]:
    """Tests of Python that have as many assertions as before, and of which less can fail."""
    pairs: list[tuple[str, asserts.Test, asserts.Test]] = []
    moved = Counter[str]()
    for path, old, now in changes:
        if not (is_test(path) and path.endswith(".py") and now and len(old or "") + len(now) <= LARGEST):
            continue
        before, after = asserts.tests(old or "") or {}, asserts.tests(now) or {}
        pairs += [(path, test, after[name]) for name, test in before.items() if name in after]
        for name, test in after.items():
            moved += test.asserts - before[name].asserts if name in before else test.asserts
    lost = ((path, asserts.loss(test, now, moved)) for path, test, now in pairs)
    return [Finding(guard=GUARD, path=path, what=each.what) for path, each in lost if each]


def _asserts(tested: Sequence[Delta]) -> list[Finding]:
    fewer, path, lines = weaken.asserts(tested)
    if not fewer:
        return []
    return [Finding(guard=GUARD, path=path, what=f"{fewer} fewer assertions: {'; '.join(lines[:3])[:200]}")]
