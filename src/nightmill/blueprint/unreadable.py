"""What is wrong with an expression or a template that cannot be read, in words of who wrote it and not of who reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

__all__ = ["fault"]

token = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\w+|===|[=!<>]=|&&|\|\||\S""", re.DOTALL)
QUOTES = ("'", '"')
CLOSING = {"(": ")", "[": "]", "{": "}"}
FOREIGN = {"&&": "and", "||": "or", "!": "not", "?": "a if b else c", "===": "==", "=": "=="}
BETWEEN = frozenset("== != < > <= >= + - * / % ~ | . , : and or in is if else".split())
"""What has a value on both sides."""
SIGNED = BETWEEN - {"-", "+"}
JOINING = BETWEEN | {"not"}
NOTHING = "its parts do not go together"


def fault(text: str, *, template: bool) -> str:
    """The first thing that is wrong with *text*, as a sentence without its end."""
    if not template:
        return "it stands by itself, without {{ and }}" if "{{" in text else _wrong(text)
    if "{%" in text:
        return "there is nothing such as {% … %}; write {{ a if b else c }}"
    if "{#" in text.partition("#}")[0]:
        return "'{#' is not closed by '#}'"
    pieces = text.split("{{")[1:]
    if any("}}" not in piece for piece in pieces):
        return "'{{' is not closed by '}}'"
    wrong = (_wrong(piece.partition("}}")[0]) for piece in pieces)
    return next((said for said in wrong if said != NOTHING), NOTHING)


def _wrong(expression: str) -> str:
    found = token.findall(expression)
    return next(_faults(found), NOTHING) if found else "it is empty"


def _faults(found: list[str]) -> Iterator[str]:
    yield from (f"a text has no closing {each}" for each in found if each in QUOTES)
    yield from _brackets(found)
    yield from (f"{each!r} is written as {ours!r}" for each, ours in FOREIGN.items() if each in found)
    yield from (f"{each!r} means nothing in it" for each in found if not _known(each))
    if found[0] in SIGNED:
        yield f"nothing stands before {found[0]!r}"
    if found[-1] in JOINING:
        yield f"nothing follows {found[-1]!r}"
    if found.count("else") > found.count("if"):
        yield "'else' has no 'if' before it"
    for one, other in pairwise(found):
        if one in JOINING and other in SIGNED and (one, other) != ("not", "in"):
            yield f"nothing stands between {one!r} and {other!r}"
        if _ends_value(one) and _begins_value(other):
            yield f"nothing joins {one} and {other}"


def _brackets(found: list[str]) -> Iterator[str]:
    opened = list[str]()
    for each in found:
        if each in CLOSING:
            opened.append(each)
        elif each in CLOSING.values() and (not opened or CLOSING[opened.pop()] != each):
            yield f"{each!r} closes nothing"
    yield from (f"{each!r} is not closed by {CLOSING[each]!r}" for each in reversed(opened))


def _known(each: str) -> bool:
    return each in JOINING or each in CLOSING or each in CLOSING.values() or _begins_value(each)


def _ends_value(each: str) -> bool:
    return each in CLOSING.values() or _begins_value(each)


def _begins_value(each: str) -> bool:
    return each not in JOINING and (each[0].isalnum() or each[0] in "_'\"")
