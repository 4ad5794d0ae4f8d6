"""The packages that a project's lock files name, without any of their tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

__all__ = ["LOCKS", "packages"]

LOCKS = (
    "uv.lock",
    "poetry.lock",
    "Cargo.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "go.mod",
    "Gemfile.lock",
    "requirements.txt",
    "pyproject.toml",
    "package.json",
)
"""Files at the root of a checkout that are read."""

NAME = re.compile(r"^name = \"([^\"\n]{1,200})\"$", re.MULTILINE)
REQUIREMENT = re.compile(
    r"^\s*[\"']?([A-Za-z0-9][A-Za-z0-9._-]{0,99})(?:\[[^\]\n]*\])?\s*(?:[=<>~!]=?|@|;|[\"'],?\s*$|$)", re.MULTILINE
)
YARN = re.compile(r"^\"?(@?[\w./-]{1,200}?)@[^\n]*:$", re.MULTILINE)
PNPM = re.compile(r"^\s{2}'?/?(@?[\w./-]{1,200}?)@[\d][^\n]*:$", re.MULTILINE)
GO = re.compile(r"^\s*(?:require\s+)?([\w-]+\.[\w./-]{1,200})\s+v\d", re.MULTILINE)
GEM = re.compile(r"^ {4}([\w.-]{1,100}) \(", re.MULTILINE)
LISTED = re.compile(
    r"^(?:dependencies|optional-dependencies\.[\w-]+|dev)\s*=\s*\[(.*?)^\]|^dependencies\s*=\s*\[([^\n]*)\]",
    re.MULTILINE | re.DOTALL,
)


def packages(files: Mapping[str, str]) -> dict[str, str]:
    """By their names in lower case, the names of packages in *files*, texts by the names of `LOCKS`. What cannot be read names none."""
    return {each.casefold(): each for name, text in files.items() for each in _named(name, text)}


def _named(name: str, text: str) -> Iterable[str]:
    if name.endswith(".json"):
        return _node(text)
    if name == "pyproject.toml":
        inside = "\n".join((found[1] or found[2] or "").replace(",", "\n") for found in LISTED.finditer(text))
        return REQUIREMENT.findall(inside)
    pattern = {
        "requirements.txt": REQUIREMENT,
        "yarn.lock": YARN,
        "pnpm-lock.yaml": PNPM,
        "go.mod": GO,
        "Gemfile.lock": GEM,
    }.get(name, NAME)
    return pattern.findall(text)


def _node(text: str) -> Iterable[str]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(body, dict):
        return ()
    found: list[str] = []
    for key in ("dependencies", "devDependencies", "packages"):
        part = body.get(key)
        found += [each.rpartition("node_modules/")[2] for each in part if each] if isinstance(part, dict) else []
    return found
