"""Calls written as Python, the form of Llama's and Gemma's: `[read_file(path="a.py"), list_files()]`.

Only calls of tools that there are, with literals by name; whatever else is Python is a text like any other.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Collection, Iterator

from nightmill.model.depth import is_deep

__all__ = ["pythonic"]

LONGEST = 100_000
BEGINS = re.compile(r"\[?\s*(?:print\()?[A-Za-z_][\w.]*\(")
WORDS = {"true": True, "false": False, "null": None}


def pythonic(text: str, known: Collection[str]) -> list[tuple[str, str]] | None:
    """The calls that the whole of *text* is, None if it is anything but calls of *known* tools."""
    if len(text) > LONGEST or not BEGINS.match(text) or is_deep(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
        calls = [_call(node, known) for each in body for node in _calls(each)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return calls or None


def _calls(statement: ast.stmt) -> Iterator[ast.expr]:
    match statement:
        case ast.Expr(value=ast.List(elts=elements)):
            yield from elements
        case ast.Expr(value=value):
            yield value
        case _:
            raise ValueError("no call")


def _call(node: ast.expr, known: Collection[str]) -> tuple[str, str]:
    """(tool, arguments) of *node*.

    Raises:
        ValueError: If it is no call of a tool, with literals by name.
    """
    match node:
        case ast.Call(func=ast.Name(id="print"), args=[ast.Call() as inner], keywords=[]):
            return _call(inner, known)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="call"), args=[], keywords=given):
            pass
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[], keywords=given):
            pass
        case _:
            raise ValueError("no call")
    if name not in known or any(each.arg is None for each in given):
        raise ValueError(name)
    arguments = {str(each.arg): _literal(each.value) for each in given}
    return name, json.dumps(arguments, ensure_ascii=False, allow_nan=False)


def _literal(node: ast.expr) -> object:
    if isinstance(node, ast.Name) and node.id in WORDS:
        return WORDS[node.id]
    value: object = ast.literal_eval(node)
    return value
