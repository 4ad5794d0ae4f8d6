"""Values of a file that people write, by a table of its keys, with the line of every mistake."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from nightmill.estate.shape import Key
from nightmill.written import compose, fail

__all__ = ["LARGEST", "Record", "read"]

LARGEST = 256 << 10
"""Bytes of a file."""

SIZES = {"": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
NUMBERS = {
    "size": (r"(\d{1,18}) ?(KB|MB|GB)?", 'a size such as "2 GB"'),
    "count": (r"(\d{1,9})", "a whole number above 0"),
    "money": (r"(\d{1,9}(?:\.\d{1,6})?)", "an amount of US dollars above 0"),
    "number": (r"(\d{1,9}(?:\.\d{1,9})?)", "a number above 0"),
}
"""Pattern and words of each kind of number."""


class Record(dict[str, Any]):
    """Values by their keys, and the *line* on which they begin."""

    line = 1


def read(body: bytes, keys: tuple[Key, ...], *, name: str) -> Record:
    """The values that the text *body* of the file *name* gives *keys*.

    Raises:
        SettingsError: If it cannot be used; the message names the line.
    """
    return _Form(name).record(compose(body, name=name, largest=LARGEST), keys, where="")


@dataclass(frozen=True)
class _Form:
    name: str

    def record(self, node: yaml.Node, keys: tuple[Key, ...], *, where: str) -> Record:
        if not isinstance(node, yaml.MappingNode):
            self._fail(
                node, f"{where or 'the file'} must be a mapping of names to values", hint=f"known keys: {_listed(keys)}"
            )
        known = {key.name: key for key in keys}
        values = Record()
        values.line = node.start_mark.line + 1 if node.start_mark else 1
        for name_node, value_node in node.value:
            name = str(name_node.value) if isinstance(name_node, yaml.ScalarNode) else "?"
            place = f"{where}.{name}" if where else name
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                meant = f"; did you mean {close[0]!r}?" if close else ""
                self._fail(name_node, f"unknown key {place!r}{meant}", hint=f"known keys: {_listed(keys)}")
            if name in values:
                self._fail(name_node, f"{place!r} is given twice", hint="keep one")
            values[name] = self._value(value_node, known[name], where=place)
        absent = [key.name for key in keys if key.required and key.name not in values]
        if absent:
            self._fail(
                node, f"{where or 'the file'} lacks {', '.join(map(repr, absent))}", hint=f"known keys: {_listed(keys)}"
            )
        return values

    def _value(self, node: yaml.Node, key: Key, *, where: str) -> Any:
        match key.kind:
            case "record":
                return self.record(node, key.keys, where=where)
            case "records":
                return self._records(node, key, where=where)
            case "texts":
                return self._texts(node, where, key.choices)
            case "map" | "counts" | "lists":
                return self._mapping(node, key.kind, where)
            case "number" | "money" | "size" | "count":
                return self._number(node, key.kind, where)
        return self._text(node, where, key.choices)

    def _records(self, node: yaml.Node, key: Key, *, where: str) -> list[Record]:
        found: list[Record] = []
        for index, each in enumerate(self._items(node, where)):
            record = self.record(each, key.keys, where=f"{where}[{index}]")
            name = record.get("name")
            if name and name in {before.get("name") for before in found}:
                self._fail(each, f"{where}: the name {name!r} is used twice", hint="every name once")
            found.append(record)
        return found

    def _items(self, node: yaml.Node, where: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"{where} must be a list", hint='one "- …" per line')
        return list(node.value)

    def _mapping(self, node: yaml.Node, kind: str, where: str) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            wanted = {"map": "texts", "counts": "whole numbers", "lists": "lists of texts"}[kind]
            self._fail(node, f"{where} must be a mapping of names to {wanted}", hint="one `NAME: …` per line")
        found: dict[str, Any] = {}
        for name_node, value in node.value:
            name = self._text(name_node, where)
            if kind == "map" and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                self._fail(name_node, f"{where}: {name!r} is no name of a variable", hint="letters, digits and '_'")
            if kind != "map" and name in found:
                self._fail(name_node, f"'{where}.{name}' is given twice", hint="keep one")
            found[name] = self._named(value, kind, f"{where}.{name}")
        return found

    def _named(self, node: yaml.Node, kind: str, where: str) -> Any:
        if kind == "counts":
            return self._number(node, "count", where)
        return self._texts(node, where, ()) if kind == "lists" else self._text(node, where)

    def _texts(self, node: yaml.Node, where: str, choices: tuple[str, ...]) -> list[str]:
        return [self._text(each, f"{where}[{index}]", choices) for index, each in enumerate(self._items(node, where))]

    def _text(self, node: yaml.Node, where: str, choices: tuple[str, ...] = ()) -> str:
        tag = str(node.tag).rpartition(":")[2]
        if not isinstance(node, yaml.ScalarNode) or tag not in {"str", "int", "float", "bool"}:
            self._fail(node, f"{where} must be a text", hint="put it in quotes")
        if tag == "bool":
            self._fail(
                node, f"{where} is {node.value}, which YAML reads as true or false", hint=f'write "{node.value}"'
            )
        if "\0" in node.value:
            self._fail(node, f"{where} holds a zero byte", hint="take it out")
        if choices and node.value not in choices:
            self._fail(node, f"{where} is {str(node.value)!r}", hint=f"one of: {', '.join(choices)}")
        return str(node.value)

    def _number(self, node: yaml.Node, kind: str, where: str) -> float | int:
        text = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
        pattern, wanted = NUMBERS[kind]
        found = re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII)
        if not found or not float(found[1]):
            self._fail(node, f"{where} must be {wanted}", hint=f"it is {text!r}" if text else "write it as one value")
        if kind in {"number", "money"}:
            return float(text)
        return int(found[1]) * (SIZES[(found[2] or "").upper()] if kind == "size" else 1)

    def _fail(self, at: yaml.Node, message: str, *, hint: str) -> NoReturn:
        fail(at, message, name=self.name, hint=hint)


def _listed(keys: tuple[Key, ...]) -> str:
    return ", ".join(key.name for key in keys)
