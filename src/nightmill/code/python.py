"""What a Python file refers to: every dotted name as its imports mean it, with where it stands."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Names", "parse", "walk"]

DEEPEST = 150
"""Levels of syntax: whoever writes a tree back to text needs several frames for each."""
LARGEST = 1 << 20
"""Characters of a file that is read; a larger one is told as one that cannot be."""

STEPS = 4
"""Aliases of aliases that are followed."""


class Names(NamedTuple):
    """What names mean in a file: "o" → "os", "leave" → "os._exit"."""

    known: dict[str, str]

    def dotted(self, node: ast.AST) -> str:
        """The dotted name that *node* refers to, by way of imports, `getattr` and `__import__` too; "" for none."""
        match node:
            case ast.Name(id=name):
                return self._meant(name)
            case ast.Attribute(value=value, attr=name):
                left = self.dotted(value)
                return f"{left}.{name}" if left else ""
            case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(name)), *_]):
                left = self.dotted(value)
                return f"{left}.{name}" if left else ""
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
                imports = {"__import__", "importlib.import_module", "builtins.__import__"}
                return name if self.dotted(function) in imports else ""
        return ""

    def _meant(self, name: str) -> str:
        for _ in range(STEPS):
            root, dot, rest = name.partition(".")
            if self.known.get(root, root) == root:
                break
            name = self.known[root] + dot + rest
        return name


def parse(text: str) -> tuple[ast.Module, Names] | None:
    """The tree of *text* and its names, None if Python would not read it either, or nobody should."""
    if len(text) > LARGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if _deep(tree):
        return None
    known: dict[str, str] = {}
    for node in walk(tree):
        known |= dict(_imported(node))
    return tree, Names(known)


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node under *tree*, in the order of the text; no recursion, however deep it is nested."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))


def _deep(tree: ast.AST) -> bool:
    level = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for each in node.names:
            yield (each.asname, each.name) if each.asname else (each.name.partition(".")[0],) * 2
    elif isinstance(node, ast.ImportFrom):
        for each in node.names:
            yield each.asname or each.name, f"{'.' * node.level}{node.module or ''}.{each.name}".lstrip(".")
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        # `leave = os._exit` is an import in all but name; one step, so that a chain of them stays cheap.
        parts = []
        value: ast.AST = node.value
        while isinstance(value, ast.Attribute):
            parts.append(value.attr)
            value = value.value
        if parts and isinstance(value, ast.Name):
            yield node.targets[0].id, ".".join((value.id, *reversed(parts)))
