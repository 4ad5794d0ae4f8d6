"""What the tests of a Python file assert: only what is reached, can fail, and is not caught."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nightmill.code.python import Names, parse, walk

__all__ = ["Loss", "Test", "loss", "tests"]

ASSERTING = re.compile(
    r"(?:^|[._])(?:assert|expect|verify|check|raises|warns|fail|validate|ensure|compare|should)", re.IGNORECASE
)
CATCHES = {"AssertionError", "Exception", "BaseException", "builtins.AssertionError"}
FRAME = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
EXACT, BOUND, WEAK = 3, 2, 1
LOOSE = re.compile(
    r"\bANY\b|\bapprox\(|(?:^|\.)assert(?:True|False|IsNotNone|IsNone|AlmostEqual|NotEqual|In)\b|\braises\((?:Base)?Exception\)"
)

TOLERANCE = re.compile(r"(?:, )?\b(rel|abs|delta|atol|rtol|places|decimal|timeout)\b\s*=\s*([\d.e-]+)")
FEWER = {"places", "decimal"}
"""Tolerances that are wider the smaller they are."""
SHOWN = 160


class Test(NamedTuple):
    """A test by its name with its classes, and its live assertions as text."""

    name: str
    line: int
    asserts: Counter[str]
    others: int
    """Calls that may assert, by their names."""
    cases: int | None = 1
    """With how many values it is run; None where they are not written out."""


class Loss(NamedTuple):
    """What a test asserts less than it did; *whole*: nothing of it can fail any more."""

    what: str
    whole: bool = False


def tests(text: str) -> dict[str, Test] | None:
    """The tests of a file by name; of two with one name the later, as Python has it. None if it cannot be read."""
    parsed = parse(text)
    if parsed is None:
        return None
    tree, names = parsed
    found: dict[str, Test] = {}
    waiting: list[tuple[str, ast.stmt]] = [("", each) for each in tree.body]
    while waiting:
        prefix, node = waiting.pop(0)
        if isinstance(node, ast.ClassDef):
            waiting += [(f"{prefix}{node.name}.", each) for each in node.body]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            live = list(_live(node.body, names))
            calls = [each for each in walk(node) if isinstance(each, ast.Call)]
            others = sum(bool(ASSERTING.search(names.dotted(each.func))) for each in calls)
            cases = _cases(node.decorator_list, names)
            found[prefix + node.name] = Test(prefix + node.name, node.lineno, Counter(live), others, cases)
        elif isinstance(node, ast.If | ast.Try):
            waiting += [(prefix, each) for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
    return found


def loss(before: Test, after: Test, moved: Mapping[str, int]) -> Loss | None:
    """What *after* asserts less than *before*; *moved* counts assertions that came, over all tests of the change."""
    if after.cases is not None and before.cases is not None and after.cases < before.cases:
        return Loss(f"{before.name} is run with {after.cases} of {before.cases} values", whole=not after.cases)
    gone, new = before.asserts - after.asserts, after.asserts - before.asserts
    if not gone:
        return None
    lost = Counter({each: count for each, count in gone.items() if moved.get(each, 0) <= new[each]})
    shown = "; ".join(lost or gone)[:SHOWN]
    if not after.asserts and after.others <= before.others:
        return Loss(f"{before.name} asserts nothing any more: {shown}", whole=True)
    if new.total() < lost.total():
        return Loss(f"{before.name} has {lost.total() - new.total()} assertion(s) fewer: {shown}")
    if lost and _less(lost, new):
        return Loss(f"{before.name} asserts less: {shown} became {'; '.join(new)[:SHOWN]}")
    return None


def _less(gone: Counter[str], new: Counter[str]) -> bool:
    if sum(_strength(each) * count for each, count in new.items()) < sum(
        _strength(each) * count for each, count in gone.items()
    ):
        return True
    plain = {TOLERANCE.sub("", each): each for each in gone}
    pairs = [(plain[key], each) for each in new if (key := TOLERANCE.sub("", each)) in plain]
    return any(_wider(old, now) for old, now in pairs)


def _wider(old: str, now: str) -> bool:
    """Whether a tolerance of *now* is wider than in *old*, or is there where none was."""
    before = dict(TOLERANCE.findall(old))
    for name, value in TOLERANCE.findall(now):
        if name not in before:
            return True
        try:
            less = float(value) < float(before[name])
        except ValueError:
            continue
        if value != before[name] and less == (name in FEWER):
            return True
    return False


def _cases(decorators: list[ast.expr], names: Names) -> int | None:
    """How many cases `parametrize` makes of a test, None if that is not written out."""
    cases = 1
    for each in decorators:
        if not isinstance(each, ast.Call) or not names.dotted(each.func).endswith("parametrize"):
            continue
        match each.args:
            case [_, ast.List(elts=values) | ast.Tuple(elts=values), *_] if not any(
                isinstance(value, ast.Starred) for value in values
            ):
                cases *= len(values)
            case _:
                return None
    return cases


def _strength(assertion: str) -> int:
    """How much *assertion* says: one value, a range or kind of them, or hardly anything."""
    if LOOSE.search(assertion) or " or " in assertion:
        return WEAK
    if re.search(
        r" (?:==|is) (?!True$|not None)| is None\b|assert(?:Equal|Is|DictEqual|ListEqual|CountEqual|Raises)\b|\braises\(",
        assertion,
    ):
        return EXACT
    return BOUND if re.search(r" (?:in|not in|<|>|<=|>=|!=) |isinstance\(|\bassert\w+\(", assertion) else WEAK


def _live(body: list[ast.stmt], names: Names) -> Iterator[str]:
    """The assertions of *body* that a failure would get out of; what comes after a return is none."""
    for node in body:
        if isinstance(node, FRAME):
            continue
        yield from _own(node, names)
        for inner in _inner(node, names):
            yield from _live(inner, names)
        if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break) or _always_returns(node):
            return


def _own(node: ast.stmt, names: Names) -> Iterator[str]:
    if isinstance(node, ast.Assert):
        if not _constant(node.test):
            yield ast.unparse(ast.Assert(test=node.test, msg=None))
    elif isinstance(node, ast.With | ast.AsyncWith):
        yield from (ast.unparse(each.context_expr) for each in node.items if _asserts(each.context_expr, names))
    elif isinstance(node, ast.Expr | ast.Assign | ast.Return) and node.value is not None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if _asserts(value, names) and not (
            isinstance(value, ast.Call) and all(map(_constant, value.args)) and value.args
        ):
            yield ast.unparse(value)


def _inner(node: ast.stmt, names: Names) -> Iterator[list[ast.stmt]]:
    """The blocks of *node* out of which a failure gets, and that are not left out for good."""
    if isinstance(node, ast.Try):
        if not any(_swallows(each, names) for each in node.handlers):
            yield node.body
        yield from (*(each.body for each in node.handlers), node.orelse, node.finalbody)
    elif isinstance(node, ast.With | ast.AsyncWith):
        if not any(_suppresses(each.context_expr, names) for each in node.items):
            yield node.body
    elif isinstance(node, ast.For | ast.AsyncFor):
        if not (isinstance(node.iter, ast.List | ast.Tuple) and not node.iter.elts):
            yield node.body
    elif isinstance(node, ast.If | ast.While):
        taken = _truth(node.test)
        yield from [node.body] if taken is not False else []
        yield from [node.orelse] if taken is not True else []


def _asserts(value: ast.expr, names: Names) -> bool:
    if not isinstance(value, ast.Call):
        return False
    dotted = names.dotted(value.func)
    last = dotted.rpartition(".")[2] if dotted else (value.func.attr if isinstance(value.func, ast.Attribute) else "")
    return last.lower().startswith(("assert", "fail")) or last in {"raises", "warns"}


def _constant(node: ast.expr) -> bool:
    """Whether it is true whatever the code does: a constant, a tuple, something or True, a value compared with itself."""
    match node:
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(_constant, values))
        case ast.BoolOp(values=values):
            return all(map(_constant, values))
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return bool(elements)
        case ast.Compare(left=left, comparators=[right]):
            return ast.dump(left) == ast.dump(right) and not any(isinstance(each, ast.Call) for each in walk(left))
        case ast.UnaryOp(op=ast.Not(), operand=ast.Constant(value=value)):
            return not value
    return isinstance(node, ast.Constant) and bool(node.value)


def _truth(test: ast.expr) -> bool | None:
    if isinstance(test, ast.Constant):
        return bool(test.value)
    return False if isinstance(test, ast.Name) and test.id == "TYPE_CHECKING" else None


def _always_returns(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or not node.body:
        return False
    return _truth(node.test) is True and isinstance(node.body[-1], ast.Return | ast.Raise)


def _swallows(handler: ast.ExceptHandler, names: Names) -> bool:
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type] if handler.type else []
    caught = not types or any(names.dotted(each) in CATCHES for each in types)
    return caught and not any(
        isinstance(each, ast.Raise | ast.Assert) or _failing(each, names) for each in walk(handler)
    )


def _failing(node: ast.AST, names: Names) -> bool:
    return isinstance(node, ast.Call) and names.dotted(node.func).rpartition(".")[2] in {"fail", "exit"}


def _suppresses(value: ast.expr, names: Names) -> bool:
    if not isinstance(value, ast.Call):
        return False
    called = names.dotted(value.func)
    caught = any(names.dotted(each) in CATCHES for each in value.args)
    return caught and (called == "contextlib.suppress" or called.endswith(("pytest.raises", "assertRaises")))
