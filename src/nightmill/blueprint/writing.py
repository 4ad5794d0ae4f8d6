"""From a blueprint to the file that says it: what has its default is left out, and people can read the rest."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from nightmill.blueprint.mistakes import OURS
from nightmill.blueprint.nouns import KINDS

if TYPE_CHECKING:
    from nightmill.blueprint.nouns import Blueprint

__all__ = ["write"]

WIDTH = 120


def write(blueprint: Blueprint, *, head: str = "") -> bytes:
    """The file of *blueprint*, which reads as the same one; *head* is text before it, each line a comment.

    Comments of the file that it was read from are gone: a blueprint does not hold them.
    """
    import yaml  # noqa: PLC0415 - only who writes one needs it

    text = yaml.dump(_plain(blueprint), Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=WIDTH)
    return ("".join(f"# {line}\n" for line in head.splitlines()) + text).encode()


def _plain(value: Any) -> Any:
    """*value* as YAML has it: mappings, lists, texts."""
    if is_dataclass(value):
        found = {each.name: _plain(got) for each in fields(value) if _said(each, got := getattr(value, each.name))}
        if isinstance(value, tuple(KINDS.values())) and "may_fail" in found:
            found["may_fail"] = found.pop("may_fail")  # what it does comes first
        return found
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _said(each: Any, value: Any) -> bool:
    """Whether the field *each* has to be written down."""
    if each.name in OURS:
        return False
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return default is MISSING or bool(value != default)


@cache
def _dumper() -> Any:
    import yaml  # noqa: PLC0415 - as above

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, _data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper
