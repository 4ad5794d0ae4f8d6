"""Calls that a model wrote into its text, in the formats that models were trained on, taken as the calls they are.

What is quoted is not taken: inside a sentence, in a code block with more behind it, after "for example". There the model
is asked whether it meant it, by a call that will not be run.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from nightmill.model.dialect import CUT, settle
from nightmill.model.forms import MOST, OPENERS, READERS, TAGS, Calls, bare
from nightmill.model.message import ModelReply, Part, Text, ToolCall, ToolSchema

__all__ = ["taken"]

LONGEST = 1 << 20
OPENS = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([\w+-]*+)[^\n`]*+\n", re.MULTILINE)
CLOSES = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+$", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")
DATA = frozenset({"", "json", "json5", "jsonc", "tool_call", "tool_code", "tool"})
EXAMPLE = re.compile(
    r"\b(example|e\.g\.|for instance|such as|looks? like|would be|format|syntax|like this)\b", re.IGNORECASE
)
INVENTED = re.compile(r"<\|?(?:tool_response|tool_result|function_results|function_response)\b", re.IGNORECASE)
"""A result that the model made up: what follows stands on it."""
MARKS = re.compile(r"[`~]{3,}[\w+-]*|\s")


class Hit(NamedTuple):
    """Calls at a place of the text, (name, arguments) each."""

    start: int
    end: int
    calls: Calls


def taken(reply: ModelReply, tools: Iterable[ToolSchema], *, loose: bool = False) -> ModelReply:
    """*reply* with the calls in its text as parts, if it has no others; *loose*: the text is the only way to call."""
    known = {tool.name: tool for tool in tools}
    if not known or reply.calls or reply.stop in CUT:
        return reply
    parts: list[Part] = []
    quoted: list[Part] = []
    for part in reply.parts:
        if isinstance(part, Text) and len(part.text) <= LONGEST:
            made, doubtful = _split(part, known, loose=loose)
            parts += made
            quoted += doubtful
        else:
            parts.append(part)
    if not any(isinstance(part, ToolCall) for part in parts):
        parts.extend(quoted[:1])
    return reply if parts == list(reply.parts) else replace(reply, parts=tuple(parts), stop=settle(parts, reply.stop))


def _split(part: Text, known: Mapping[str, ToolSchema], *, loose: bool) -> tuple[list[Part], list[Part]]:
    """The text that is left and the calls in it, and the calls that may only be quoted."""
    text = part.text
    quotes = _Quotes(text)
    hits = _hits(text, known, quotes)
    words = _without(text, hits)
    meant = [hit for hit in hits if quotes.meant(hit, words, loose=loose)]
    if meant and (invented := INVENTED.search(text, meant[0].end)):
        text = text[: invented.start()]
        meant = [hit for hit in meant if hit.end <= invented.start()]
    doubtful: list[Part] = [
        ToolCall(id="", name=name, arguments=arguments, written="quoted")
        for hit in hits
        if hit not in meant
        for name, arguments in hit.calls
        if name in known
    ]
    if not meant:
        return [part], doubtful
    left, at = "", 0
    for start, end in map(quotes.around, meant):
        left, at = left + text[at : max(at, start)], max(at, end)
    left = TAGS.sub("", left + text[at:]).strip()
    made: list[Part] = [Text(text=left)] if left else []
    written: Literal["", "text"] = "" if loose else "text"
    found = [call for hit in meant for call in hit.calls]
    made += [ToolCall(id="", name=name, arguments=text, written=written) for name, text in found[:MOST]]
    return made, doubtful


def _hits(text: str, known: Mapping[str, ToolSchema], quotes: _Quotes) -> list[Hit]:
    if (whole := bare(text, known)) is not None:
        return [Hit(0, len(text), whole)]
    hits: list[Hit] = []
    at = 0
    for _ in range(MOST):
        if not (opened := OPENERS.search(text, at)):
            break
        read = READERS[opened.lastgroup or ""](text, opened.end(), opened, known)
        if read and read[0]:
            hits.append(Hit(opened.start(), read[1], read[0]))
        at = max(opened.end(), read[1] if read else 0)
    for fence in quotes.fences:
        calls = bare(fence.inner, known) if fence.language.lower() in DATA else None
        if calls and not any(fence.start <= hit.start < fence.end for hit in hits):
            hits.append(Hit(fence.start, fence.end, calls))
    return sorted(hits)


class _Fence(NamedTuple):
    """A block of code."""

    start: int
    end: int
    language: str
    inner: str


def _fences(text: str) -> Iterator[_Fence]:
    """The blocks of code of *text*, each up to the next line of its own mark; one pass, whatever is left open."""
    ends: dict[str, list[re.Match[str]]] = {}
    for found in CLOSES.finditer(text):
        ends.setdefault(found[1], []).append(found)
    at = 0
    while opened := OPENS.search(text, at):
        at, closing = opened.end(), ends.get(opened[1], [])
        place = bisect_left(closing, at, key=re.Match.start)
        if place < len(closing):
            inner = text[at : closing[place].start()]
            at = closing[place].end()
            yield _Fence(opened.start(), at, opened[2], inner)


class _Quotes:
    """What of a text is code: blocks between fences, and words between backticks."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fences = list(_fences(text))
        self._spans = sorted(
            [*((each.start, each.end) for each in self.fences), *(each.span() for each in INLINE.finditer(text))]
        )
        self._starts = [start for start, _ in self._spans]

    def around(self, hit: Hit) -> tuple[int, int]:
        """Where *hit* stands, with the block of code that it is in."""
        at = bisect_right(self._starts, hit.start) - 1
        inside = at >= 0 and hit.start < self._spans[at][1]
        return (self._spans[at][0], max(hit.end, self._spans[at][1])) if inside else (hit.start, hit.end)

    def meant(self, hit: Hit, words: str, *, loose: bool) -> bool:
        """Whether *hit* is a call, not a quotation; *words* are the text with spaces for all hits."""
        start, end = self.around(hit)
        before, behind = words[:start], words[end:]
        if _example(before) and not (loose and start == hit.start):
            return False
        if (start, end) != (hit.start, hit.end) or self.text[start] in "`~":
            beside = TAGS.sub("", self.text[start : hit.start] + self.text[hit.end : end])
            return (
                not MARKS.sub("", beside)
                and "\n" in self.text[start:end]
                and not behind.strip()
                and not _example(before)
            )
        line, rest = before.rpartition("\n")[2], behind.partition("\n")[0]
        return loose or not (TAGS.sub("", line).strip() or TAGS.sub("", rest).strip(" \t;,]"))


def _without(text: str, hits: Iterable[Hit]) -> str:
    """*text* with spaces where *hits* are; its lines stay."""
    at, pieces = 0, []
    for hit in hits:
        gap = re.sub(r"[^\n]", " ", text[max(at, hit.start) : hit.end])
        pieces += [text[at : hit.start], gap]
        at = max(at, hit.end)
    return "".join([*pieces, text[at:]])


def _example(before: str) -> bool:
    """Whether the paragraph that ends *before* announces a quotation."""
    return bool(EXAMPLE.search(before.rstrip().rpartition("\n\n")[2][-200:]))
