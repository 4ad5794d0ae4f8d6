"""nightmill.yaml: read strictly, with the line of every mistake, and written for people to change."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Any, NoReturn

import yaml

from nightmill.errors import SettingsError
from nightmill.estate import services, shape
from nightmill.estate.nouns import Access, Environment, Project
from nightmill.review import Check
from nightmill.sandbox import Limits

__all__ = ["NAME", "identify", "load", "parse"]

NAME = "nightmill.yaml"
LARGEST = 256 << 10
DEEPEST = 8

SIZES = {"": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
NUMBERS = {
    "size": (r"(\d{1,18}) ?(KB|MB|GB)?", 'a size such as "2 GB"'),
    "count": (r"(\d{1,9})", "a whole number above 0"),
    "money": (r"(\d{1,9}(?:\.\d{1,6})?)", "an amount of US dollars above 0"),
    "number": (r"(\d{1,9}(?:\.\d{1,9})?)", "a number of seconds above 0"),
}
"""Pattern and words of each kind of number."""


def load(root: Path) -> Project:
    """The project that *root*'s nightmill.yaml describes.

    Raises:
        SettingsError: If there is none, or it cannot be used; the message names the line.
    """
    try:
        with os.fdopen(os.open(root / NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            body = file.read(LARGEST + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b"\0"
    except FileNotFoundError as error:
        raise SettingsError(f"there is no {NAME} in {str(root)!r}", hint="run `nightmill init` there") from error
    except OSError as error:
        raise SettingsError(
            f"{NAME} in {str(root)!r} cannot be read: {error.strerror}", hint="it must be a file that you may read"
        ) from error
    return parse(body, root=root)


def parse(body: bytes, *, root: Path) -> Project:
    """The project that the text *body* describes, for the checkout *root*.

    Raises:
        SettingsError: If it cannot be used; the message names the line.
    """
    values = _record(_compose(body), shape.FILE, where="")
    checks = tuple(_check(each) for each in values.get("checks", []))
    return Project(
        id=identify(root),
        root=root.resolve(),
        language=values.get("language", "other"),
        environment=Environment(
            install=tuple(values.get("install", ())),
            hosts=tuple(values.get("hosts", ())),
            env=values.get("env", {}),
            locks=tuple(values.get("locks", ())),
        ),
        checks=checks,
        network=Access(**{name: tuple(each) for name, each in values.get("network", {}).items()}),
        services=services.read(values.get("services", [])),
        instructions=tuple(values.get("instructions", ())),
        limits=Limits(**{name: value for name, value in values.get("limits", {}).items() if name != "disk"}),
        disk=values.get("limits", {}).get("disk", 10 << 30),
        budget=values.get("budget", 0.0),
        co_author=values.get("co_author", ""),
        requires=tuple(values.get("requires", ())),
        protected=tuple(values.get("protected", ())),
    )


def identify(root: Path) -> str:
    """The id of the project at *root*: its folder's name and eight digits of the hash of its real path."""
    real = root.resolve()
    name = re.sub(r"[^a-z0-9]+", "-", real.name.lower()).strip("-")[:60] or "project"
    return f"{name}-{hashlib.sha256(os.fsencode(real)).hexdigest()[:8]}"


def _check(plain: dict[str, Any]) -> Check:
    return Check(
        name=plain["name"],
        command=plain["run"],
        format=plain.get("format", "exit"),
        report=plain.get("report", ""),
        seconds=plain.get("seconds", 600.0),
        memory=plain.get("memory", 4 << 30),
    )


# From text to nodes: bounded, and without anchors, whose expansion is the one thing that can explode


def _compose(body: bytes) -> yaml.Node:
    if len(body) > LARGEST:
        raise SettingsError(f"{NAME} is larger than {LARGEST >> 10} KB", hint="it should be a page or two")
    try:
        text = body.decode("utf-8")
        _bounded(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{NAME} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
        said = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
        raise SettingsError(
            f"{NAME}:{line}: not valid YAML: {said}", hint="often the indent or a missing quote"
        ) from error
    return node if node is not None else yaml.MappingNode("tag:yaml.org,2002:map", [])


def _bounded(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            _fail(event, "anchors and aliases are not allowed", hint="write the value out where it is used")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            _fail(event, f"nested deeper than {DEEPEST} levels", hint="see docs/reference for the keys")


# From nodes to values, by the shape


def _record(node: yaml.Node, keys: tuple[shape.Key, ...], *, where: str) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        _fail(node, f"{where or 'the file'} must be a mapping of names to values", hint=f"known keys: {_listed(keys)}")
    known = {key.name: key for key in keys}
    values: dict[str, Any] = {}
    for name_node, value_node in node.value:
        name = str(name_node.value) if isinstance(name_node, yaml.ScalarNode) else "?"
        place = f"{where}.{name}" if where else name
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            _fail(name_node, f"unknown key {place!r}{meant}", hint=f"known keys: {_listed(keys)}")
        if name in values:
            _fail(name_node, f"{place!r} is given twice", hint="keep one")
        values[name] = _value(value_node, known[name], where=place)
    absent = [key.name for key in keys if key.required and key.name not in values]
    if absent:
        _fail(node, f"{where or 'the file'} lacks {', '.join(map(repr, absent))}", hint=f"known keys: {_listed(keys)}")
    return values


def _value(node: yaml.Node, key: shape.Key, *, where: str) -> Any:
    match key.kind:
        case "record":
            return _record(node, key.keys, where=where)
        case "records":
            return _records(node, key, where=where)
        case "texts":
            return [_text(each, f"{where}[{index}]", key.choices) for index, each in enumerate(_items(node, where))]
        case "map":
            return _map(node, where)
        case "number" | "money" | "size" | "count":
            return _number(node, key.kind, where)
    return _text(node, where, key.choices)


def _records(node: yaml.Node, key: shape.Key, *, where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, each in enumerate(_items(node, where)):
        record = _record(each, key.keys, where=f"{where}[{index}]")
        name = record.get("name")
        if name and name in {before.get("name") for before in found}:
            _fail(each, f"{where}: the name {name!r} is used twice", hint="every name once")
        found.append(record)
    return found


def _items(node: yaml.Node, where: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        _fail(node, f"{where} must be a list", hint='one "- …" per line')
    return list(node.value)


def _map(node: yaml.Node, where: str) -> dict[str, str]:
    if not isinstance(node, yaml.MappingNode):
        _fail(node, f"{where} must be a mapping of names to texts", hint="one `NAME: text` per line")
    found: dict[str, str] = {}
    for name_node, value in node.value:
        name = _text(name_node, where)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            _fail(name_node, f"{where}: {name!r} is no name of a variable", hint="letters, digits and '_'")
        found[name] = _text(value, f"{where}.{name}")
    return found


def _text(node: yaml.Node, where: str, choices: tuple[str, ...] = ()) -> str:
    tag = str(node.tag).rpartition(":")[2]
    if not isinstance(node, yaml.ScalarNode) or tag not in {"str", "int", "float", "bool"}:
        _fail(node, f"{where} must be a text", hint="put it in quotes")
    if tag == "bool":
        _fail(node, f"{where} is {node.value}, which YAML reads as true or false", hint=f'write "{node.value}"')
    if "\0" in node.value:
        _fail(node, f"{where} holds a zero byte", hint="take it out")
    if choices and node.value not in choices:
        _fail(node, f"{where} is {str(node.value)!r}", hint=f"one of: {', '.join(choices)}")
    return str(node.value)


def _number(node: yaml.Node, kind: str, where: str) -> float | int:
    text = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    pattern, wanted = NUMBERS[kind]
    found = re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII)
    if not found or not float(found[1]):
        _fail(node, f"{where} must be {wanted}", hint=f"it is {text!r}" if text else "write it as one value")
    if kind in {"number", "money"}:
        return float(text)
    return int(found[1]) * (SIZES[(found[2] or "").upper()] if kind == "size" else 1)


def _listed(keys: tuple[shape.Key, ...]) -> str:
    return ", ".join(key.name for key in keys)


def _fail(at: yaml.Node | yaml.Event, message: str, *, hint: str) -> NoReturn:
    line = at.start_mark.line + 1 if at.start_mark else 1
    raise SettingsError(f"{NAME}:{line}: {message}", hint=hint)
