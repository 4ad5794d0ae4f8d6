"""Calls that a model wrote into its text, in the formats that models were trained on, taken as the calls they are.

What is quoted is not taken: inside a sentence, in a code block with more behind it, after "for example". There the model
is asked whether it meant it, by a call that will not be run.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from nightmill.model.dialect import settle
from nightmill.model.history import read_object
from nightmill.model.message import ModelReply, Part, Text, ToolCall, ToolSchema
from nightmill.model.repair import repaired

__all__ = ["taken"]

MOST = 64
LONGEST = 1 << 20
GAP = re.compile(r"[ \t\r\n;,]*")
DECODER = json.JSONDecoder(strict=False)
OPENS = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([\w+-]*+)[^\n`]*+\n", re.MULTILINE)
CLOSES = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)[ \t]*+$", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")
DATA = frozenset({"", "json", "json5", "jsonc", "tool_call", "tool_code", "tool"})
EXAMPLE = re.compile(
    r"\b(example|e\.g\.|for instance|such as|looks? like|would be|format|syntax|like this)\b", re.IGNORECASE
)
INVENTED = re.compile(r"<\|?(?:tool_response|tool_result|function_results|function_response)\b", re.IGNORECASE)
"""A result that the model made up: what follows stands on it."""
ARGUMENTS = ("arguments", "parameters", "input", "args", "params", "tool_input")
NAMES = ("name", "tool", "tool_name", "function", "function_name", "recipient_name")
WHERE = re.compile(rf"[\"'](?:{'|'.join(ARGUMENTS)})[\"']\s*:\s*")
TAGS = re.compile(
    r"(?:(?<!\s)\s+)?(?:</?(?:antml:)?(?:tool_calls?|function_calls?|function|invoke|tools?)>|\[/TOOL_CALLS\]|<\|\w+\|>"
    r"|<｜[\w▁]+｜>)"  # noqa: RUF001 - DeepSeek's very characters
)
PARAMETER = re.compile(
    r"\s*<(?:antml:)?parameter(?:=| name=)[\"']?(?P<name>[\w.-]+)[\"']?[^>\n]*>(?P<value>.*?)"
    r"(?:</(?:antml:)?parameter>|(?=<(?:antml:)?parameter[= ]))",
    re.DOTALL,
)
MARKS = re.compile(r"[`~]{3,}[\w+-]*|\s")
CLOSED = re.compile(r"(?:\s*```)?")
PARAMETERS = re.compile(r"<(?:antml:)?parameter[= ]")

Calls = list[tuple[str, str]]
Reader = Callable[[str, int, "re.Match[str]", Mapping[str, ToolSchema]], "tuple[Calls, int] | None"]


class Hit(NamedTuple):
    """Calls at a place of the text, (name, arguments) each."""

    start: int
    end: int
    calls: Calls


def taken(reply: ModelReply, tools: Iterable[ToolSchema], *, loose: bool = False) -> ModelReply:
    """*reply* with the calls in its text as parts, if it has no others; *loose*: the text is the only way to call."""
    known = {tool.name: tool for tool in tools}
    if not known or reply.calls or reply.stop in {"length", "refused"}:
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
    if (bare := _bare(text, known)) is not None:
        return [Hit(0, len(text), bare)]
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
        calls = _bare(fence.inner, known) if fence.language.lower() in DATA else None
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


def _bare(text: str, known: Mapping[str, ToolSchema]) -> Calls | None:
    """The calls that the whole of *text* is: one object, a list of them, or several after each other."""
    text, calls, at = text.strip(), [], 0
    if not text.startswith(("{", "[")):
        return None
    for _ in range(MOST):
        found = _json(text, at)
        if found is None:
            break
        raw, at = found
        calls += _of_json(raw)
        at = GAP.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
    return calls if at == len(text) and calls and all(name in known for name, _ in calls) else None


def _json(text: str, at: int) -> tuple[str, int] | None:
    """The JSON value that begins at *at*, sound or not, and where it ends; up to the end of the text if it never does."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text[at : at + 1] not in {"{", "["}:
        return None
    try:
        return text[at : (end := DECODER.raw_decode(text, at)[1])], end
    except (ValueError, RecursionError):
        pass
    depth = 0
    for found in _brackets(text, at):
        depth += 1 if found[0] in "{[" else -1
        if depth == 0:
            return text[at : found.end()], found.end()
    end = text.find("</", at)
    end = end if end > 0 else len(text)
    return text[at:end], end


def _brackets(text: str, at: int) -> Iterator[re.Match[str]]:
    """The brackets from *at* on that stand in no string; where one has no end, all that are behind its quote."""
    for found in BONES.finditer(text, at):
        if found[0][0] != '"':
            yield found
        elif not found["end"]:
            yield from BRACKET.finditer(text, found.start() + 1)


BONES = re.compile(r'"(?:[^"\\]|\\.)*+(?P<end>"?)|[{}\[\]]', re.DOTALL)
BRACKET = re.compile(r"[{}\[\]]")


def _of_json(raw: str) -> Calls:
    """The calls that *raw* describes; arguments stay as they were written, so that whoever runs them sees their faults."""
    if raw.startswith("["):
        try:
            values = json.loads(raw, strict=False)
        except (ValueError, RecursionError):
            return []
        return [call for each in values if isinstance(each, dict) for call in _of_json(json.dumps(each))]
    value = read_object(raw)
    mended = repaired(raw) if value is None else None
    found = value if value is not None else mended.value if mended else {}
    if isinstance(found.get("function"), dict):
        found = {**found, **found["function"]}
    name = next((found[each] for each in NAMES if isinstance(found.get(each), str)), "")
    key = next((each for each in ARGUMENTS if each in found), "")
    if not name:
        return []
    if mended and not mended.certain:
        place = WHERE.search(raw)
        return [(name, raw[place.end() :] if place else raw)]
    arguments = (
        found[key] if key else {each: part for each, part in found.items() if each not in {*NAMES, "id", "type"}}
    )
    return [(name, arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))]


def _read_json(text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]) -> tuple[Calls, int] | None:
    """One object or list behind the opening mark, or several; in Hermes' tags Qwen's own may stand as well."""
    del opened
    if inner := FUNCTION.match(text, at):
        return _read_function(text, inner.end(), inner, known)
    calls: Calls = []
    while found := _json(text, at):
        raw, at = found
        calls += _of_json(raw)
        at = GAP.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
    closing = TAGS.match(text, at)
    return calls, closing.end() if closing else at


def _read_named(text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]) -> tuple[Calls, int] | None:
    """A name in the opening mark, its arguments behind it (Mistral's newer form, Kimi's, DeepSeek's)."""
    del known
    found = _json(text, at)
    if found is None:
        return None
    raw, end = found
    name = next(each for group, each in opened.groupdict().items() if each and group.endswith("_of"))
    return [(name, raw)], CLOSED.match(text, end).end()  # type: ignore[union-attr]  # it matches nothing, too


def _read_function(
    text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]
) -> tuple[Calls, int] | None:
    """Parameters in tags of their own, or one object, behind a tag that has the name."""
    name = next(each for group, each in opened.groupdict().items() if each and group.endswith("_of"))
    if (found := _json(text, at)) is not None:
        closing = TAGS.match(text, found[1])
        return [(name, found[0])], closing.end() if closing else found[1]
    parameters = known[name].parameters.get("properties", {}) if name in known else {}
    given: dict[str, Any] = {}
    while inner := PARAMETER.match(text, at):
        given[inner["name"]] = _typed(inner["value"], parameters.get(inner["name"], {}))
        at = inner.end()
    closing = TAGS.match(text, at)
    rest = text[at:].lstrip()
    if not given and not closing and not PARAMETERS.match(rest):
        return None
    if not closing and PARAMETERS.match(rest):
        # Cut off inside a value: what is left says so by being no JSON.
        return [(name, rest)], len(text)
    return [(name, json.dumps(given, ensure_ascii=False))], closing.end() if closing else at


def _typed(value: str, schema: Mapping[str, Any]) -> Any:
    """The text of a parameter as its schema has it; one line end on each side belongs to the tags."""
    value = value.removeprefix("\r").removeprefix("\n").removesuffix("\n")
    if schema.get("type") in {"integer", "number", "boolean", "array", "object"}:
        try:
            return json.loads(value, strict=False)
        except (ValueError, RecursionError):
            return value
    return value


FUNCTION = re.compile(r"\s*<function=(?P<inner_of>[\w.:-]+)>")
OPENERS = re.compile(
    r"(?P<hermes><(?:tool_call|function_call|tool_use)>)"
    r"|(?P<python><\|python_tag\|>)"
    r"|(?P<kimi><\|tool_call_begin\|>\s*(?P<kimi_of>[\w.:-]+)\s*<\|tool_call_argument_begin\|>)"
    r"|(?P<deepseek><｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?(?P<deepseek_of>[\w.:-]+)(?:<｜tool▁sep｜>)?\s*(?:```json)?)"  # noqa: RUF001 - its very characters
    r"|(?P<mistral>\[TOOL_CALLS\]\s*(?P<mistral_of>[\w.:-]+)\s*(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?(?=\s*\{))"
    r"|(?P<list>\[TOOL_CALLS\])"
    r"|(?P<qwen><function=(?P<qwen_of>[\w.:-]+)>)"
    r"|(?P<invoke><(?:antml:)?invoke name=[\"'](?P<invoke_of>[\w.:-]+)[\"']>)"
)
READERS: dict[str, Reader] = {
    "hermes": _read_json,
    "python": _read_json,
    "list": _read_json,
    "kimi": _read_named,
    "deepseek": _read_named,
    "mistral": _read_named,
    "qwen": _read_function,
    "invoke": _read_function,
}
