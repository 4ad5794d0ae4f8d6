"""Whether a line is another one misquoted: a slip of the pen, a name changed throughout, a comment in other words.

Nothing that the file itself has is taken for a slip: where it knows both names, they are two things.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set as AbstractSet

__all__ = ["WORD", "is_slip", "is_word"]

WORD = re.compile(r"\w+")
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
COMMENT = re.compile(r"#|//|/?\*|--|<!--|[;%\"]")
PROSE = re.compile(r"[a-z]+")
DIGITS = re.compile(r"\d+")
OPERATORS = frozenset("<>+-*/%=!&|^~")
LONGEST = 2
"""Signs that a slip of the pen changes, at most."""
AROUND = 3
SHORTEST = 3
FEWEST_SAME = 2
MOST_ODD = 2


def is_slip(text: str, quoted: str, found: str, kept: AbstractSet[str]) -> bool:
    """Whether the line *quoted* is *found* with a slip; *kept* are the words of the lines quoted as the file *text* has them."""
    return _mistyped(text, quoted, found) or _renamed(text, quoted, found, kept) or _reworded(quoted, found)


def _mistyped(text: str, quoted: str, found: str) -> bool:
    """One or two signs are others, and nothing like it is in the file."""
    size = min(len(quoted), len(found))
    head = next((at for at in range(size) if quoted[at] != found[at]), size)
    tail = next((at for at in range(size - head) if quoted[-1 - at] != found[-1 - at]), size - head)
    odd, real = quoted[head : len(quoted) - tail], found[head : len(found) - tail]
    if max(len(odd), len(real)) > LONGEST or size < 2 * AROUND:
        return False
    one, other = (_words_at(line, head, len(line) - tail) for line in (quoted, found))
    if one != other and DIGITS.sub("", one) == DIGITS.sub("", other):
        return False
    if quoted[max(0, head - AROUND) : len(quoted) - tail + AROUND] in text:
        return False
    words = [word for word in WORD.findall(one) if word not in WORD.findall(other)]
    if WORD.fullmatch(one) and WORD.fullmatch(other) and max(len(one), len(other)) < SHORTEST:
        return False  # `i` is no misspelt `j`
    if words:
        return any(not is_word(text, word) for word in words) or _is_letter(odd[:1]) != _is_letter(real[:1])
    return not OPERATORS & {*odd, *real}


def _words_at(line: str, start: int, stop: int) -> str:
    """The words of *line* that its signs from *start* to *stop* touch."""
    while start and _is_letter(line[start - 1]):
        start -= 1
    while stop < len(line) and _is_letter(line[stop]):
        stop += 1
    return line[start:stop]


def _is_letter(sign: str) -> bool:
    return bool(WORD.match(sign))


def _renamed(text: str, quoted: str, found: str, kept: AbstractSet[str]) -> bool:
    """Names are others, each shortened or with something added, unknown to the file and throughout what is quoted."""
    left, right = TOKEN.findall(quoted), TOKEN.findall(found)
    if len(left) != len(right):
        return False
    names = {(one, other) for one, other in zip(left, right, strict=True) if one != other}
    return bool(names) and all(
        _is_name_of(text, one, other) and other not in kept and not is_word(text, one) for one, other in names
    )


def _is_name_of(text: str, name: str, real: str) -> bool:
    """Whether *name* is *real* cut short or with something around it that tells no names of *text* apart."""
    if not (WORD.fullmatch(name) and WORD.fullmatch(real)) or DIGITS.sub("", name) == DIGITS.sub("", real):
        return False
    short, full = name.lower(), real.lower().strip("_")
    if len(short) < SHORTEST or len(full) < SHORTEST:
        return False
    if real.lower().startswith(short) or full == short.strip("_"):
        return True
    at = short.find(full)
    added = max(name[:at], name[at + len(full) :], key=len).strip("_")
    return at >= 0 and not (added[:1].isupper() and added in text)


def _reworded(quoted: str, found: str) -> bool:
    """A comment with a word more, less or another, all of plain prose."""
    if not COMMENT.match(found):
        return False
    left, right = Counter(WORD.findall(quoted)), Counter(WORD.findall(found))
    odd, real = left - right, right - left
    if (left & right).total() < FEWEST_SAME or odd.total() > 1 or odd.total() + real.total() > MOST_ODD:
        return False
    return all(PROSE.fullmatch(word) for word in odd) and not any(DIGITS.search(word) for word in real)


def is_word(text: str, word: str) -> bool:
    """Whether *word* stands in *text*, not as a part of another."""
    at = text.find(word)
    while at >= 0:
        around = text[max(0, at - 1) : at] + text[at + len(word) : at + len(word) + 1]
        if not WORD.search(around):
            return True
        at = text.find(word, at + 1)
    return False
