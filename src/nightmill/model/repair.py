"""Arguments that are nearly JSON, read as what they can only have meant, or as what they probably did.

Weak models write Python's dicts, comments, line ends inside strings and one bracket too few. Each of these is noted, and
each is either certain (the text can be read in one way only) or not: who runs a tool that changes something wants the
former. Strict JSON never comes here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Repaired", "repaired"]

DEEPEST = 60
LONGEST = 8 << 20
FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n(.*)```", re.DOTALL)
SPACE = re.compile(r"[ \t\r\n\ufeff\xa0]+")
COMMENT = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
BARE_KEY = re.compile(r"[A-Za-z_$][\w$-]*")
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[\s,}\]/#]|$)")
BARE_VALUE = re.compile(r"[^,\[\]{}\"'\n]+")
KEY_FOLLOWS = re.compile(r"\s*[\"'][\w$-]+[\"']\s*:")
LEFTOVER = re.compile(r"[\s}\]);,`]*")
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
QUOTES = {'"': '"', "'": "'", "“": "”"}
PLAIN = {closing: re.compile(rf"[^\\{closing}\x00-\x1f]+") for closing in QUOTES.values()}


class Repaired(NamedTuple):
    """What was read.

    Attributes:
        notes: What is wrong with the text, in words.
        certain: It can be read in this way only.
        cut: It ends inside a string, so that a value is not what was meant.
    """

    value: dict[str, Any]
    notes: tuple[str, ...]
    certain: bool
    cut: bool = False


class _UnreadableError(ValueError):
    """Nothing can be made of it."""


def repaired(text: str) -> Repaired | None:
    """The object that *text* was meant to be, None if it is none."""
    if len(text) > LONGEST:
        return None
    try:
        found = _unwrapped(text, Notes(), depth=0)
        json.dumps(found.value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return found


@dataclass(slots=True)
class Notes:
    """What is wrong with the text, and whether each can be read in one way only."""

    said: dict[str, bool] = field(default_factory=dict)
    cut: bool = False

    def sure(self, words: str) -> None:
        self.said.setdefault(words, True)

    def unsure(self, words: str) -> None:
        self.said[words] = False


def _unwrapped(text: str, notes: Notes, *, depth: int) -> Repaired:
    text = text.strip()
    if text.startswith("\ufeff"):
        notes.sure("a byte order mark")
        text = text.removeprefix("\ufeff").lstrip()
    if fence := FENCE.fullmatch(text):
        notes.sure("a code fence around it")
        text = fence[1].strip()
    inner = _string_of(text) if depth < 2 else None  # some are encoded twice, nobody thrice
    if inner is not None:
        notes.sure("JSON inside a string")
        return _unwrapped(inner, notes, depth=depth + 1)
    start = text.find("{")
    if start < 0:
        raise _UnreadableError("no object")
    listed = text.startswith("[")
    if listed and text[1:start].strip():
        raise _UnreadableError("a list")
    if listed:
        notes.sure("a list around it")
    elif start:
        notes.unsure("words before it")
    reader = _Reader(text, start, notes)
    value = reader.object(0)
    rest = text[reader.at :].strip()
    _behind(rest.removeprefix("]") if listed else rest, notes)
    return Repaired(value, tuple(notes.said), all(notes.said.values()), notes.cut)


def _behind(rest: str, notes: Notes) -> None:
    if "{" in rest:
        raise _UnreadableError("several objects")
    if not LEFTOVER.fullmatch(rest):
        notes.unsure("words after it")
    elif rest:
        notes.sure("more behind its last bracket")


def _string_of(text: str) -> str | None:
    if not text.startswith('"'):
        return None
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else None


class _Reader:
    """One pass over the text."""

    def __init__(self, text: str, at: int, notes: Notes) -> None:
        self.text, self.at, self.notes = text, at, notes

    def object(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while self._more("}", first=not made):
            name = self._key()
            self._skip()
            if self._peek() == "=":
                self.notes.unsure("= for :")
            elif self._peek() != ":":
                raise _UnreadableError("no colon")
            self.at += 1
            if name in made:
                self.notes.unsure(f"{name[:40]!r} twice")
            made[name] = self._value(depth + 1)
        return made

    def _list(self, depth: int) -> list[Any]:
        made: list[Any] = []
        while self._more("]", first=not made):
            made.append(self._value(depth + 1))
        return made

    def _more(self, end: str, *, first: bool) -> bool:
        """Whether another member follows; the bracket, the comma or what stands for them is taken in."""
        if first:
            self.at += 1
        self._skip()
        sign = self._peek()
        if not first and sign == ",":
            self.at += 1
            self._skip()
            sign = self._peek()
            if sign in {end, ""}:
                self.notes.sure("a comma too many")
        elif not first and sign not in {end, "", *"}]"}:
            self.notes.unsure("a comma missing")
        if sign == end:
            self.at += 1
            return False
        if sign == "":
            self.notes.unsure("a closing bracket missing")
            return False
        if sign in "}]":
            raise _UnreadableError("brackets that do not match")
        return True

    def _key(self) -> str:
        if self._peek() in QUOTES:
            return self._string()
        found = BARE_KEY.match(self.text, self.at)
        if not found:
            raise _UnreadableError("no key")
        self.notes.sure("names without quotes")
        self.at = found.end()
        return found[0]

    def _value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise _UnreadableError("too deep")
        self._skip()
        sign = self._peek()
        if sign == "{":
            return self.object(depth)
        if sign == "[":
            return self._list(depth)
        return self._string() if sign in QUOTES else self._plain()

    def _plain(self) -> Any:
        if number := NUMBER.match(self.text, self.at):
            self.at = number.end()
            return json.loads(number[0])
        word = BARE_VALUE.match(self.text, self.at)
        said = word[0].strip() if word else ""
        if not word or not said:
            raise _UnreadableError("no value")
        self.at = word.end()
        if said in {"NaN", "Infinity", "undefined"}:
            raise _UnreadableError(said)
        if said in LITERALS:
            if not said.islower():
                self.notes.sure("Python's True, False or None")
            return LITERALS[said]
        self.notes.unsure("text without quotes")
        return said

    def _string(self) -> str:
        opened = self._peek()
        closing = QUOTES[opened]
        if self.text.startswith(opened * 3, self.at):
            return self._tripled(opened * 3)
        if opened == "“":
            self.notes.unsure("quotes of print")
        self.at += 1
        start = self.at
        text = self._inside(closing)
        if opened == "'":
            simple = "\\" not in self.text[start : self.at] and "'" not in text
            (self.notes.sure if simple else self.notes.unsure)("single quotes")
        return _whole(text)

    def _inside(self, closing: str) -> str:
        """The text up to the quote *closing* that ends it."""
        pieces: list[str] = []
        while not pieces or pieces[-1]:
            pieces.append(self._piece(closing))
        return "".join(pieces)

    def _piece(self, closing: str) -> str:
        """The next piece of a string, "" at its end."""
        if run := PLAIN[closing].match(self.text, self.at):
            self.at = run.end()
            return run[0]
        sign = self._peek()
        self.at += 1
        if sign == "\\":
            return self._escape()
        if sign == closing:
            if self._closes():
                return ""
            self.notes.unsure("quotes inside a string")
        elif sign:
            self.notes.sure("line ends or tabs inside a string")
        else:
            self.notes.unsure("a string without its end")
            self.notes.cut = True
        return sign

    def _tripled(self, sign: str) -> str:
        end = self.text.find(sign, self.at + 3)
        if end < 0:
            raise _UnreadableError("a string without its end")
        self.notes.unsure("triple quotes")
        text = self.text[self.at + 3 : end]
        self.at = end + 3
        return text

    def _escape(self) -> str:
        sign = self._peek()
        self.at += 1
        if sign in ESCAPES and sign:
            return ESCAPES[sign]
        digits = self.text[self.at : self.at + 4]
        if sign == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            self.at += 4
            return chr(int(digits, 16))
        if sign == "'":
            self.notes.sure("escapes that JSON does not have")
            return sign
        self.notes.unsure("escapes that JSON does not have")
        return f"\\{sign}"

    def _closes(self) -> bool:
        """Whether the quote before here ends its string: only then comes what may follow one."""
        found = SPACE.match(self.text, self.at)
        end = found.end() if found else self.at
        after = self.text[end : end + 1]
        return after in {"", *",:}]=", "/", "#"} or bool(KEY_FOLLOWS.match(self.text, self.at))

    def _skip(self) -> None:
        while True:
            if found := SPACE.match(self.text, self.at):
                self.at = found.end()
            elif found := COMMENT.match(self.text, self.at):
                self.notes.sure("comments")
                self.at = found.end()
            else:
                return

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]


def _whole(text: str) -> str:
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise _UnreadableError("half a character") from None
