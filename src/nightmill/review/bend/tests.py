"""Tests that are gone, skipped, emptied or weakened, over all files of a change together: one that moved is none of these."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nightmill.code import Change, is_test, weaken
from nightmill.code.asserts import Test, loss, tests
from nightmill.code.python import parse, walk
from nightmill.review.bend import lines
from nightmill.review.bend.signs import Place, Sign
from nightmill.review.formats import FORMATS
from nightmill.review.nouns import Check

__all__ = ["Suite", "born_skipped", "deleted", "suite", "weakened"]

SHOWN = 160
Tests = Mapping[str, Test]


class File(NamedTuple):
    """A file with tests: those of Python by name, before and after."""

    change: Change
    before: Tests
    after: Tests
    spans: Sequence[tuple[int, int, frozenset[str]]]
    """First and last line of each class and function after the change, with the tests that a mark there is about."""


Suite = Mapping[str, File]
"""The files with tests that a change touches, by path."""


def suite(changes: Sequence[Change]) -> Suite:
    """Read the tests of *changes*, once; what is commented out is not there."""
    return {each.path: _file(_bare(each)) for each in changes if is_test(each.path)}


def deleted(found: Suite) -> Iterator[Place]:
    """Tests of a name that there are fewer of, unless what they assert is there under another name."""
    deltas = weaken.deltas(each.change for each in found.values())
    net = weaken.tests(deltas)
    kept = Counter(_body(test) for each in found.values() for test in each.after.values())
    for delta in deltas:
        gone, new = weaken.names(delta.gone), weaken.names(delta.new)
        before = {name.rpartition(".")[2]: test for name, test in found[delta.path].before.items()}
        spare = new.total() if not delta.path.endswith(".py") else 0
        for name in gone - new:
            if net.get(name, 0) >= 0:
                continue
            net[name] += 1
            body = _body(before[name]) if name in before else ""
            if body and kept[body]:
                kept[body] -= 1
            elif spare:
                spare -= 1  # as many came as went: renamed, if anything
            else:
                line = before[name].line if name in before else 0
                yield Place(delta.path, Sign("test deleted", f"test {name} is gone", line))


def weakened(found: Suite) -> Iterator[Place]:
    """Tests that assert less than they did."""
    pairs = list(_pairs(found))
    known = {name for each in found.values() for name in each.before}
    born = (test for each in found.values() for name, test in each.after.items() if name not in known)
    moved = Counter[str]()
    for asserts in (*(after.asserts - before.asserts for _, before, after in pairs), *(test.asserts for test in born)):
        moved.update(asserts)
    for path, before, after in pairs:
        if lost := loss(before, after, moved):
            yield Place(path, Sign("test emptied" if lost.whole else "test weakened", lost.what, after.line))
    by_lines = False
    for path, file in found.items():
        for sign in _by_lines(path, file.change):
            by_lines = True
            yield Place(path, sign)
    fewer, path, gone = weaken.asserts(weaken.deltas(each.change for each in found.values() if not each.before))
    if fewer and not by_lines and not path.endswith(".py"):
        yield Place(path, Sign("test weakened", f"{fewer} fewer assertions: {'; '.join(gone[:3])[:SHOWN]}", 0))


def untold(found: Suite, checks: Sequence[Check]) -> Iterator[Place]:
    """Tests that read otherwise now where no check tells of tests: whether they still expect the same, nothing can show."""
    if not checks or any(FORMATS[each.format].tests for each in checks if each.format != "exit"):
        return
    for delta in weaken.deltas(each.change for each in found.values() if each.change.before is not None):
        gone = [line for line in delta.gone if line and not line.startswith(("import ", "from ", "use ", "#"))]
        if gone:
            shown = "; ".join(gone[:3])[:SHOWN]
            yield Place(delta.path, Sign("test edited", f"{len(gone)} of its lines are gone or others: {shown}", 0))


def born_skipped(found: Suite, place: Place) -> bool:
    """Whether the test that *place* skips is new with the change: it never showed anything that could be lost."""
    file = found.get(place.path)
    if file is None:
        return False
    old = file.change.before is not None
    if not place.path.endswith(".py"):
        after = file.change.after or ""
        line = after.splitlines()[place.sign.line - 1 : place.sign.line]
        named = {lines.about(place.path, after, place.sign.line)} - {""} or set(
            weaken.names(Counter(each.strip() for each in line))
        )
        known = set(
            weaken.names(
                Counter(each.strip() for file in found.values() for each in (file.change.before or "").splitlines())
            )
        )
        known |= {name for path, each in found.items() for name in lines.blocks(path, each.change.before or "")}
        return not named & known if named else not old
    before = {name.rpartition(".")[2] for each in found.values() for name in each.before}
    around = [names for first, last, names in file.spans if first <= place.sign.line <= last]
    if around:
        return not frozenset().union(*around) & before
    mine = {name.rpartition(".")[2] for name in file.after}
    return not old and bool(mine) and not mine & before


def _bare(change: Change) -> Change:
    before, after = (None if each is None else lines.bare(change.path, each) for each in change[1:])
    return Change(change.path, before, after)


def _by_lines(path: str, change: Change) -> Iterator[Sign]:
    """Tests of languages of which lines are read: those that nothing can fail any more, and those that say less."""
    after = lines.blocks(path, change.after or "")
    for name, before in lines.blocks(path, change.before or "").items():
        now = after.get(name)
        gone = before.asserts - now.asserts if now else Counter[str]()
        if now is None or not gone:
            continue
        shown = "; ".join(gone)[:SHOWN]
        if not now.asserts:
            yield Sign("test emptied", f"nothing that {name} asserts can fail any more: {shown}", now.line)
        elif lines.weight(now.asserts) < lines.weight(before.asserts):
            yield Sign("test weakened", f"{name} asserts less: {shown}", now.line)


def _file(change: Change) -> File:
    if not change.path.endswith(".py"):
        return File(change, {}, {}, ())
    before, after = tests(change.before or "") or {}, tests(change.after or "") or {}
    return File(change, before, after, tuple(_spans(change.after or "")))


def _spans(text: str) -> Iterator[tuple[int, int, frozenset[str]]]:
    parsed = parse(text)
    for node in walk(parsed[0]) if parsed else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            members = node.body if isinstance(node, ast.ClassDef) else [node]
            names = frozenset(
                each.name for each in members if isinstance(each, _DEFINED) and each.name.startswith("test")
            )
            # A mark on a class is about all of its tests; one further down has a span of its own.
            last = node.body[0].lineno - 1 if isinstance(node, ast.ClassDef) else node.end_lineno or node.lineno
            yield first, last, names


_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef)


def _pairs(found: Suite) -> Iterator[tuple[str, Test, Test]]:
    """Tests before and after with the path they are in now: of the same file, else of the one that has the name."""
    elsewhere: dict[str, list[tuple[str, Test]]] = defaultdict(list)
    for path, each in found.items():
        for name, test in each.after.items():
            if name not in each.before:
                elsewhere[name].append((path, test))
    for path, each in found.items():
        for name, test in each.before.items():
            if name in each.after:
                yield path, test, each.after[name]
            elif elsewhere[name]:
                where, moved = elsewhere[name].pop(0)
                yield where, test, moved


def _body(test: Test) -> str:
    return "\n".join(sorted(test.asserts.elements()))
