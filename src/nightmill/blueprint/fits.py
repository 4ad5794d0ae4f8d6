"""Whether what an expression comes to can be what somebody takes: told before it runs, as far as its shape is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import nodes

from nightmill.blueprint.expression import parsed
from nightmill.blueprint.shapes import ANY, FLAG, NUMBER, TEXT, Shape
from nightmill.errors import SettingsError

__all__ = ["shape_of", "unfit"]

LIST: Shape = {"type": "array"}
FILTERS: Mapping[str, Shape] = {
    **dict.fromkeys("count int length wordcount".split(), NUMBER),
    **dict.fromkeys("join lower string tojson trim truncate upper".split(), TEXT),
    **dict.fromkeys("list map reject rejectattr select selectattr sort unique".split(), LIST),
}
"""What filters give whatever they are given; of the others that depends."""
WORDS = {
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
GIVES: tuple[tuple[tuple[type[nodes.Node], ...], Shape], ...] = (
    ((nodes.Compare, nodes.Not, nodes.Test), FLAG),
    ((nodes.Concat,), TEXT),
    ((nodes.List, nodes.Tuple), LIST),
    ((nodes.Dict,), {"type": "object"}),
)
TYPES: Mapping[type, str] = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}


def shape_of(expression: str, scope: Mapping[str, Shape]) -> Shape:
    """What *expression* comes to where *scope* is to be read; `ANY` where that is not known."""
    try:
        return _of(parsed(expression), scope)
    except SettingsError:
        return ANY  # said where its names are looked at


def unfit(shape: Shape, wanted: Shape) -> str:
    """Why no value of *shape* is one of *wanted*, a predicate with its verb; "": one may be, as far as both are known."""
    given, allowed = _types(shape), _types(wanted)
    if given is not None and allowed is not None and not given & allowed:
        return f"is {_listed(given)} and not {_listed(allowed)}"
    mine, theirs = shape.get("properties", {}), wanted.get("properties", {})
    if shape.get("additionalProperties") is False:
        for name in wanted.get("required", ()):
            if name not in mine:
                return f"has no {name!r}"
    for name in mine.keys() & theirs.keys():
        if why := unfit(mine[name], theirs[name]):
            return f"has a {name!r} that {why}"
    if "items" in shape and "items" in wanted and (why := unfit(shape["items"], wanted["items"])):
        return f"is a list of what {why}"
    return ""


def _of(node: nodes.Node, scope: Mapping[str, Shape]) -> Shape:
    if isinstance(node, nodes.Name):
        return scope.get(node.name, ANY)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        return _read(node, scope)
    if isinstance(node, nodes.Const):
        return {"type": TYPES[type(node.value)]}
    if isinstance(node, nodes.Filter):
        return FILTERS.get(node.name, ANY)
    return next((shape for kinds, shape in GIVES if isinstance(node, kinds)), ANY)


def _read(node: nodes.Getattr | nodes.Getitem, scope: Mapping[str, Shape]) -> Shape:
    """What a name, or a number, of something is."""
    named = node.arg.value if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) else None
    name: Any = node.attr if isinstance(node, nodes.Getattr) else named
    holder = _of(node.node, scope)
    found: Shape = holder.get("items", ANY) if isinstance(name, int) else holder.get("properties", {}).get(name, ANY)
    return found


def _types(shape: Shape) -> frozenset[str] | None:
    """The JSON types that a value of *shape* may have, a whole number counted as a number; None: any."""
    if "enum" in shape:
        return frozenset(
            TYPES.get(type(each), "array" if isinstance(each, list) else "object") for each in shape["enum"]
        )
    for key in ("anyOf", "oneOf"):
        if key in shape:
            several = [_types(each) for each in shape[key]]
            return None if None in several else frozenset().union(*(each for each in several if each))
    named = shape.get("type", "object" if "properties" in shape else None)
    if named is None:
        return None
    return frozenset("number" if each == "integer" else each for each in ([named] if isinstance(named, str) else named))


def _listed(types: frozenset[str]) -> str:
    return " or ".join(sorted(WORDS[each] for each in types))
