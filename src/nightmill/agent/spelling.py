"""How a call reads without what changes nothing: two that differ only so are one call, made twice.

A model that is told that it repeats itself often makes the same call again in other words: a blank more, a comment
that counts the attempts, `./` before a path, another harness's name for the tool.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from nightmill.model import ToolCall
from nightmill.model.history import read_object
from nightmill.tool.base import known_as
from nightmill.tool.names import TRAINED, find

__all__ = ["plain"]

LOOKED_AT = 4_000
"""Characters of a command that are read as a shell reads them; a longer one is a text of its own."""
SHELL = "run_command"
PATH = "path"
COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")


def plain(call: ToolCall) -> tuple[str, str]:
    """(tool, arguments) of *call*, with one spelling for all that mean the same."""
    given = read_object(call.arguments)
    found = find(call.name, given or {}, TRAINED)
    name = call.name if found is None or found.guessed else found.name
    if given is None:
        return name, call.arguments
    shown = {key: _plain(name, key, value) for key, value in given.items()}
    return name, json.dumps(shown, sort_keys=True, ensure_ascii=False)


def _plain(tool: str, key: str, value: Any) -> Any:
    if not isinstance(value, str) or len(value) > LOOKED_AT or "\0" in value:
        return value
    if key == PATH:
        return known_as(value)
    return _command(value) if tool == SHELL else value


def _command(text: str) -> str:
    """The shell's words of *text*, without comments."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # a quote that does not close
        words = COMMENT.sub("", text).split()
    return "\0".join(words)
