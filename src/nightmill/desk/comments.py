"""What people say of single lines of a change: part of the reason with which it goes back, as `path:line: text`.

As text it is what the crew, the ledger and a terminal get; a page reads it back and shows it where it belongs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from nightmill.errors import SettingsError

__all__ = ["Comment", "read", "written"]

MOST, LONGEST = 100, 2_000
"""Comments of one change, and characters of each."""
AT = re.compile(r"(?P<path>[^\n]{1,1000}):(?P<line>[1-9]\d{0,6})")
WRITTEN = re.compile(rf"(?m)^{AT.pattern}: (?P<text>.+(?:\n    .*)*)")


class Comment(NamedTuple):
    """*text* about the line *line* of the file *path* as the change leaves it."""

    path: str
    line: int
    text: str


def written(because: str, said: Iterable[tuple[str, str]]) -> str:
    """The reason *because* with what is *said* of lines, pairs of `path:line` and words; pairs without words are none.

    Raises:
        SettingsError: If a place is no place, or it is too much.
    """
    lines = []
    for at, words in said:
        text = "\n    ".join(words.split("\n")) if (words := words.replace("\r\n", "\n").strip()) else ""
        if not text:
            continue
        if not AT.fullmatch(at.strip()):
            raise SettingsError(
                f"{at[:80]!r} names no line", hint="as in src/shop.py:12, a line of the file as it becomes"
            )
        if len(text) > LONGEST:
            raise SettingsError(
                f"the comment on {at[:80]} has more than {LONGEST:,} characters", hint="say it in fewer"
            )
        lines.append(f"{at.strip()}: {text}")
    if len(lines) > MOST:
        raise SettingsError(
            f"{len(lines)} comments are more than the {MOST} that go with a change", hint="name the worst"
        )
    return "\n\n".join(part for part in (because.strip(), "\n".join(lines)) if part)


def read(reason: str) -> tuple[str, tuple[Comment, ...]]:
    """What *reason* says of the whole, and its comments on lines."""
    comments = tuple(
        Comment(found["path"], int(found["line"]), found["text"].replace("\n    ", "\n"))
        for found in WRITTEN.finditer(reason)
    )
    return WRITTEN.sub("", reason).strip(), comments
