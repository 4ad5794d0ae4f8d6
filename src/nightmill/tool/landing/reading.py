"""What a model may have wrapped around a quoted text, taken off: each way to read the pair of old and new text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Asked", "is_elision", "is_placeholder", "readings"]

NUMBERED = re.compile(r"[ ]*(\d+)(?:\t|→|[ ]*\|[ ]?|:[ ])")
FENCE = re.compile(r"\s*(?:```|~~~)[\w+.-]*\s*")
MOST_SAID = 200
"""A longer line says something."""
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "`": "`", "\\": "\\", "/": "/"}
ENTITY = re.compile(r"&(lt|gt|amp|quot|apos|#39|#x27|#34);")
ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
SIGN = r"\s*(?:#|//|/\*+|\*|--|<!--|;|%|\{/\*)?\s*"
BEHIND = r"\s*(?:\*/\}?|-->)?\s*"
DOTS = rf"{SIGN}\[?(?:\.\.\.|…)\]?{BEHIND}"
WORDS = (
    r"(?:(?:the\s+)?(?:rest|remainder|remaining)\b.*|.*\bunchanged\b.*|(?:keep\s+)?(?:existing|previous|other)\b.*|"
    r"same\s+as\s+(?:before|above).*|.*\bomitted\b.*|.*\bfor\s+brevity\b.*)"
)
ELISION = re.compile(
    rf"{DOTS}|{SIGN}(?:\.\.\.|…)\s*\(?{WORDS}|{SIGN}{WORDS}(?:\.\.\.|…){BEHIND}|{SIGN}rest\s+unchanged{BEHIND}",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(
    rf"{SIGN}(?:\.\.\.|…)?\s*\(?(?:(?:(?:the\s+)?rest\s+of\s+(?:the\s+|this\s+)?|remaining\s+|existing\s+|previous\s+|other\s+)"
    r"(?:code|file|function|method|methods|class|body|implementation|lines|imports|content|logic)|(?:code\s+|rest\s+|is\s+)*unchanged|"
    rf"same\s+as\s+before)(?:\s+(?:unchanged|remains?|stays?|here|the\s+same|goes|is|as\s+before))*\)?\s*(?:\.\.\.|…)?{BEHIND}",
    re.IGNORECASE,
)


class Asked(NamedTuple):
    """An old and a new text, line ends as on Unix, and how they were read."""

    old: str
    new: str
    how: str = ""

    @property
    def lines(self) -> tuple[list[str], list[str]]:
        """Both as whole lines; where only the old text ends its last line, the new one is taken to do so, too."""
        if not self.old.endswith("\n"):
            return self.old.split("\n"), self.new.split("\n")
        return self.old[:-1].split("\n"), self.new.removesuffix("\n").split("\n") if self.new else []


def is_elision(line: str) -> bool:
    """Whether *line* may stand for others that it leaves out; Python has lines of three dots that do not."""
    return len(line) < MOST_SAID and _hints(line) and bool(ELISION.fullmatch(line))


def is_placeholder(line: str) -> bool:
    """Whether *line* says in words that it stands for code which is not repeated."""
    return len(line) < MOST_SAID and _hints(line) and bool(PLACEHOLDER.fullmatch(line))


def _hints(line: str) -> bool:
    """Whether a look at the whole pattern is worth it."""
    return "..." in line or "…" in line or "unchanged" in line.lower() or "same as" in line.lower()


def readings(asked: Asked) -> Iterator[Asked]:
    """*asked* as it is, then without what does not belong to it, the least far-fetched first."""
    yield asked
    for way in (_unfenced, _unnumbered, _unmarked):
        read = way(asked)
        if read:
            yield read
            asked = read
    for way in (_unescaped, _unescaped_marks, _without_entities):
        read = way(asked)
        if read:
            yield read


def _unfenced(asked: Asked) -> Asked | None:
    def inner(text: str) -> str | None:
        lines = text.strip("\n").split("\n")
        if len(lines) > 1 and FENCE.fullmatch(lines[0]) and FENCE.fullmatch(lines[-1]):
            return "\n".join(lines[1:-1])
        return None

    old, new = inner(asked.old), inner(asked.new)
    return None if old is None else Asked(old, asked.new if new is None else new, "without the fence around it")


def _unnumbered(asked: Asked) -> Asked | None:
    lines = asked.old.split("\n")
    heads = [NUMBERED.match(line) for line in lines if line.strip()]
    if not heads or not all(heads):
        return None
    numbers = [int(head[1]) for head in heads if head]
    if sorted(set(numbers)) != numbers or numbers[-1] - numbers[0] > len(lines):
        return None
    near = range(numbers[0], numbers[-1] + len(asked.new.split("\n")))
    old, new = (
        "\n".join(line[head.end() :] if (head := NUMBERED.match(line)) else line for line in text.split("\n"))
        for text in (asked.old, asked.new)
    )
    put = [line for line in asked.new.split("\n") if line.strip()]
    marked = sum(int(head[1]) in near for head in map(NUMBERED.match, put) if head)
    return Asked(old, new if marked * 2 > len(put) else asked.new, "without its line numbers")


def _unmarked(asked: Asked) -> Asked | None:
    sides: list[str] = []
    for text, mark in ((asked.old, "-"), (asked.new, "+")):
        lines = text.split("\n")
        if any(line[:1] not in {mark, " ", ""} for line in lines) or not any(line[:1] == mark for line in lines):
            return None
        sides.append("\n".join(line[1:] for line in lines))
    return Asked(sides[0], sides[1], "without the marks of a diff")


def _unescaped(asked: Asked) -> Asked | None:
    if "\\" not in asked.old:
        return None
    old, new = (ESCAPE.sub(lambda found: ESCAPED.get(found[1], found[0]), text) for text in asked[:2])
    return Asked(old, new, "with its escapes undone")


def _unescaped_marks(asked: Asked) -> Asked | None:
    """Only the quotation marks; where a backslash itself is escaped, nobody knows which are meant."""
    if '\\"' not in asked.old or "\\\\" in asked.old + asked.new:
        return None
    return Asked(asked.old.replace('\\"', '"'), asked.new.replace('\\"', '"'), "with its quotation marks unescaped")


def _without_entities(asked: Asked) -> Asked | None:
    if not ENTITY.search(asked.old):
        return None
    old, new = (
        ENTITY.sub(lambda found: ENTITIES.get(found[1], "'" if found[1] != "#34" else '"'), text) for text in asked[:2]
    )
    return Asked(old, new, "with its entities undone")
