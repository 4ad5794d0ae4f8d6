"""One prompt file a part: front matter for its name and version, then the text with `${names}` to fill in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from string import Template

from nightmill.errors import SettingsError

__all__ = ["Prompt", "part", "render"]

FRONT = re.compile(r"\A---\n(?P<head>.*?)\n---\n(?P<body>.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A text for a model and where it came from: *digest* is of the file, before anything was filled in."""

    name: str
    digest: str
    text: str


@cache
def part(name: str) -> Prompt:
    """The shipped part *name*, such as "developer/task", not filled in.

    Raises:
        SettingsError: If there is no such part.
    """
    file = resources.files("nightmill.prompt").joinpath("parts", f"{name}.md")
    try:
        raw = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"there is no prompt {name!r}", hint="the installation is damaged: install nightmill again"
        ) from error
    found = FRONT.match(raw)
    return Prompt(name=name, digest=sha256(raw.encode()).hexdigest(), text=(found["body"] if found else raw).strip())


def render(name: str, /, **values: str) -> Prompt:
    """The part *name* with every `${name}` in it filled in; text in *values* is never filled in again.

    Raises:
        SettingsError: If a name in the part has no value.
    """
    found = part(name)
    try:
        return Prompt(name=name, digest=found.digest, text=Template(found.text).substitute(values))
    except (KeyError, ValueError) as error:
        raise SettingsError(
            f"prompt {name!r} cannot be filled in: {error}", hint="give every name that the file uses"
        ) from error
