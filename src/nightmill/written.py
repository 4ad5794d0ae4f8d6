"""YAML that people write, as nodes that know their lines: bounded, and without anchors, whose expansion can explode."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import yaml

from nightmill.errors import SettingsError

__all__ = ["Lines", "Written", "compose", "fail", "values"]

DEEPEST = 8
QUICK: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where PyYAML came with libyaml."""
Lines = dict[tuple[str | int, ...], int]
"""The line, from 1, of each value by the way to it from the top."""


class Written(NamedTuple):
    """Plain values and where each stands."""

    value: Any
    lines: Lines


def compose(body: bytes, *, name: str, largest: int, deepest: int = DEEPEST) -> yaml.Node:
    """The nodes of the YAML text *body* of the file *name*; an empty mapping for an empty one.

    Raises:
        SettingsError: If it is too large or too deep, holds anchors, or is not YAML; the message names the line.
    """
    if len(body) > largest:
        raise SettingsError(f"{name} is larger than {largest >> 10} KB", hint="it should be a page or two")
    try:
        text = body.decode("utf-8")
        try:
            node = _composed(text, name, deepest, loader=QUICK)
        except yaml.YAMLError:  # the other says more clearly what is wrong, and where
            node = _composed(text, name, deepest, loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
        said = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
        raise SettingsError(
            f"{name}:{line}: not valid YAML: {said}", hint="often the indent or a missing quote"
        ) from error
    return node if node is not None else yaml.MappingNode("tag:yaml.org,2002:map", [])


def values(node: yaml.Node, *, name: str) -> Written:
    """*node* as plain values, with the line of each.

    Raises:
        SettingsError: If a key is no text or is given twice, or a value is none that JSON has.
    """
    lines: Lines = {}
    return Written(_plain(node, (), lines, name), lines)


def _plain(at: yaml.Node, way: tuple[str | int, ...], lines: Lines, name: str) -> Any:
    lines.setdefault(way, at.start_mark.line + 1 if at.start_mark else 1)
    if isinstance(at, yaml.SequenceNode):
        return [_plain(each, (*way, index), lines, name) for index, each in enumerate(at.value)]
    if not isinstance(at, yaml.MappingNode):
        return _scalar(at, name)
    found: dict[str, Any] = {}
    for key, value in at.value:
        if not isinstance(key, yaml.ScalarNode):
            fail(key, "a key must be a word", name=name, hint="write it as a mapping of names to values")
        if key.value in found:
            fail(key, f"{key.value!r} is given twice", name=name, hint="keep one")
        lines[*way, key.value] = key.start_mark.line + 1
        found[key.value] = _plain(value, (*way, key.value), lines, name)
    return found


def _scalar(at: yaml.Node, name: str) -> Any:
    try:
        value = yaml.SafeLoader("").construct_object(at)
    except (yaml.YAMLError, ValueError) as error:
        fail(at, f"{at.value!r} cannot be read: {error}", name=name, hint="put it in quotes")
    # Of a date, say, nobody means more than its text.
    return value if isinstance(value, str | int | float | bool | None) else str(at.value)


def fail(node: Any, message: str, *, name: str, hint: str = "") -> NoReturn:
    """Refuse *node* of the file *name*, with its line.

    Raises:
        SettingsError: Always.
    """
    raise SettingsError(f"{name}:{node.start_mark.line + 1}: {message}", hint=hint)


def _composed(text: str, name: str, deepest: int, *, loader: Any) -> Any:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            fail(event, "anchors and aliases are not allowed", name=name, hint="write the value out where it is used")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > deepest:
            fail(event, f"nested deeper than {deepest} levels", name=name, hint="see docs/reference for the keys")
    return yaml.compose(text, Loader=loader)
