"""How deep JSON may nest: readers and writers of it recurse, each with another bound, and a model knows none of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

__all__ = ["DEEPEST", "is_deep", "shallow"]

DEEPEST = 100
"""Levels that the arguments of a call may have: what is deeper is a mistake, and is told as one."""
AROUND = 20
"""Levels that an event may have around the arguments in it: so much is left standing that they stay too deep."""
TOO_DEEP = json.dumps("(it nested too deep to be read)")
BONES = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}\[\]]', re.DOTALL)


def is_deep(text: str) -> bool:
    """Whether brackets nest deeper in the JSON *text* than arguments may."""
    return any(level > DEEPEST for _, level in _levels(text, DEEPEST))


def shallow(text: str) -> str:
    """The JSON *text* with a sentence in place of each value that is too deep to be read, whoever reads it."""
    most, start, pieces, at = DEEPEST + AROUND, -1, [], 0
    for found, level in _levels(text, most):
        opens = found[0] in "{["
        if opens and level == most + 1:
            start = found.start()
        elif not opens and level == most and start >= 0:
            pieces += [text[at:start], TOO_DEEP]
            start, at = -1, found.end()
    return "".join([*pieces, text[at:]]) if pieces else text


def _levels(text: str, most: int) -> Iterator[tuple[re.Match[str], int]]:
    """The brackets of *text* outside strings with the level behind each, if there can be more than *most* at all."""
    if text.count("{") + text.count("[") <= most:
        return
    level = 0
    for found in BONES.finditer(text):
        if found[0] in "{[":
            level += 1
        elif found[0] in "}]":
            level -= 1
        else:
            continue
        yield found, level
