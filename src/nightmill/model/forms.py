"""The formats in which models write calls into their text: by which marks each begins, and how it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nightmill.model.depth import is_deep, shallow
from nightmill.model.history import read_object
from nightmill.model.message import ToolSchema
from nightmill.model.pythonic import pythonic
from nightmill.model.repair import repaired

__all__ = ["MOST", "OPENERS", "READERS", "TAGS", "Calls", "bare"]

MOST = 64
"""Calls that are read of one text."""
GAP = re.compile(r"[ \t\r\n;,]*")
DECODER = json.JSONDecoder(strict=False)
ARGUMENTS = ("arguments", "parameters", "input", "args", "params", "tool_input", "tool_args", "action_input")
NAMES = ("name", "tool", "tool_name", "function", "function_name", "recipient_name", "action")
WHERE = re.compile(rf"[\"'](?:{'|'.join(ARGUMENTS)})[\"']\s*:\s*")
TAGS = re.compile(
    r"(?:(?<!\s)\s+)?(?:</?(?:\w+:)?(?:tool_calls?|function_calls?|function|invoke|tools?|TOOLCALL)>|\[/TOOL_CALLS\]|<\|/?\w+\|>"
    r"|<｜[\w▁]+｜>)"  # noqa: RUF001 - DeepSeek's very characters
)
PARAMETER = re.compile(
    r"\s*<(?:\w+:)?parameter(?:=| name=)[\"']?(?P<name>[\w.-]+)[\"']?[^>\n]*>(?P<value>.*?)"
    r"(?:</(?:\w+:)?parameter>|(?=<(?:\w+:)?parameter[= ]))",
    re.DOTALL,
)
PAIR = re.compile(
    r"\s*+<arg_key>\s*+(?P<name>[\w.-]{1,64})\s*+</arg_key>\s*+<arg_value>(?P<value>.*?)</arg_value>", re.DOTALL
)
CLOSED = re.compile(r"(?:\s*```)?")
PARAMETERS = re.compile(r"<(?:\w+:)?parameter[= ]")

Calls = list[tuple[str, str]]
Reader = Callable[[str, int, "re.Match[str]", Mapping[str, ToolSchema]], "tuple[Calls, int] | None"]


def bare(text: str, known: Mapping[str, ToolSchema]) -> Calls | None:
    """The calls that the whole of *text* is: objects, lists of them, several after each other; or calls of Python."""
    text, calls, at = text.strip(), [], 0
    if (python := pythonic(text, known)) is not None:
        return python
    if not text.startswith(("{", "[")):
        return None
    for _ in range(MOST):
        found = _json(text, at)
        if found is None:
            break
        raw, at = found
        calls += _of_json(raw)
        at = _behind(GAP, text, at)
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
    raw = shallow(raw)
    if raw.startswith("["):
        try:
            values = json.loads(raw, strict=False)
        except (ValueError, RecursionError):
            return []
        return [call for each in values if isinstance(each, dict) for call in _of_json(json.dumps(each))]
    value = _object(raw)
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


def _object(raw: str) -> dict[str, Any] | None:
    """The object that *raw* is, even if what it holds nests too deep: that is for whoever runs the call to say."""
    if not is_deep(raw):
        return read_object(raw)
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _read_json(text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]) -> tuple[Calls, int] | None:
    """One object or list behind the opening mark, or several; in Hermes' tags Qwen's own may stand as well."""
    del opened
    if inner := FUNCTION.match(text, at):
        return _read_function(text, inner.end(), inner, known)
    if (inner := PAIRED.match(text, at)) and inner["paired_of"] in known:
        return _read_pairs(text, inner.end(), inner, known)
    calls: Calls = []
    while found := _json(text, at):
        raw, at = found
        calls += _of_json(raw)
        at = _behind(GAP, text, at)
    return calls, _behind(TAGS, text, at)


def _read_pairs(text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]) -> tuple[Calls, int] | None:
    """Names and values in tags in turn, behind the tool's bare name (GLM's form)."""
    name = opened["paired_of"]
    parameters = known[name].parameters.get("properties", {})
    given: dict[str, Any] = {}
    while inner := PAIR.match(text, at):
        given[inner["name"]] = _typed(inner["value"], parameters.get(inner["name"], {}))
        at = inner.end()
    rest = text[at : at + 200].lstrip()
    if rest.startswith("<arg_key>"):  # cut off inside a value: what is left says so by being no JSON
        return [(name, rest)], len(text)
    return [(name, json.dumps(given, ensure_ascii=False))], _behind(TAGS, text, at)


def _read_python(
    text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]
) -> tuple[Calls, int] | None:
    """What is behind Llama's tag: JSON, or a call of Python up to the next tag."""
    end = text.find("<|", at)
    end = end if end > 0 else len(text)
    calls = pythonic(text[at:end].strip(), known)
    return (calls, _behind(TAGS, text, end)) if calls else _read_json(text, at, opened, known)


def _read_named(text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]) -> tuple[Calls, int] | None:
    """A name in the opening mark, its arguments behind it (Mistral's newer form, Kimi's, DeepSeek's)."""
    del known
    found = _json(text, at)
    if found is None:
        return None
    raw, end = found
    name = next(each for group, each in opened.groupdict().items() if each and group.endswith("_of"))
    return [(name, raw)], _behind(CLOSED, text, end)


def _read_function(
    text: str, at: int, opened: re.Match[str], known: Mapping[str, ToolSchema]
) -> tuple[Calls, int] | None:
    """Parameters in tags of their own, or one object, behind a tag that has the name."""
    name = next(each for group, each in opened.groupdict().items() if each and group.endswith("_of"))
    if (found := _json(text, at)) is not None:
        return [(name, found[0])], _behind(TAGS, text, found[1])
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


def _behind(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _typed(value: str, schema: Mapping[str, Any]) -> Any:
    """The text of a parameter as its schema has it; one line end on each side belongs to the tags."""
    value = value.removeprefix("\r").removeprefix("\n").removesuffix("\n")
    if schema.get("type") in {"integer", "number", "boolean", "array", "object"} and not is_deep(value):
        try:
            return json.loads(value, strict=False)
        except (ValueError, RecursionError):
            return value
    return value


FUNCTION = re.compile(r"\s*<function=(?P<inner_of>[\w.:-]+)>")
PAIRED = re.compile(r"\s*+(?P<paired_of>[\w.:-]{1,64})\s*+(?=<arg_key>|</tool_call>)")
OPENERS = re.compile(
    r"(?P<hermes><(?:tool_call|function_call|tool_use)>)"
    r"|(?P<python><\|python_tag\|>)"
    r"|(?P<harmony>(?:<\|start\|>assistant(?:<\|channel\|>\w{1,20})?|<\|channel\|>\w{1,20}) ?to=(?:functions\.)?(?P<harmony_of>[\w-]{1,64})"
    r"[^<\n]{0,40}(?:<\|(?:channel|constrain)\|>[^<\n]{0,40}){0,2}<\|message\|>)"
    r"|(?P<react>(?:^|(?<=\n))Action: ?(?P<react_of>[\w.-]{1,64})\n{1,2}Action Input:)"
    r"|(?P<kimi><\|tool_call_begin\|>\s*(?P<kimi_of>[\w.:-]+)\s*<\|tool_call_argument_begin\|>)"
    r"|(?P<deepseek><｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?(?P<deepseek_of>[\w.:-]+)(?:<｜tool▁sep｜>)?\s*(?:```json)?)"  # noqa: RUF001 - its very characters
    r"|(?P<mistral>\[TOOL_CALLS\]\s*(?P<mistral_of>[\w.:-]+)\s*(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?(?=\s*\{))"
    r"|(?P<list>\[TOOL_CALLS\]|<\|tool_call\|>|<TOOLCALL>|<tool_calls>|<\|START_ACTION\|>|<\|action_start\|><\|plugin\|>"
    r"|functools(?=\[))"
    r"|(?P<qwen><function=(?P<qwen_of>[\w.:-]+)>)"
    r"|(?P<invoke><(?:\w+:)?invoke name=[\"'](?P<invoke_of>[\w.:-]+)[\"']>)"
)
READERS: dict[str, Reader] = {
    "hermes": _read_json,
    "python": _read_python,
    "harmony": _read_named,
    "react": _read_named,
    "list": _read_json,
    "kimi": _read_named,
    "deepseek": _read_named,
    "mistral": _read_named,
    "qwen": _read_function,
    "invoke": _read_function,
}
