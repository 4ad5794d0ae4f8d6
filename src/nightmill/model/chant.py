"""A reply that says the same over and over, seen while it streams in: nothing better comes, and each token is paid for.

Only what repeats itself to the letter counts, and of what does so by nature (code, tables, lists, the content of files)
eight times as much: a chant is cut off, so nothing else may be taken for one. What varies is left to the guards, which
look at the whole reply (`agent/guard/reply.py`).
"""

from __future__ import annotations

import re

__all__ = ["Chant"]

LONGEST_UNIT = 500
"""Characters of the longest text that is seen to be said again."""
STEP, WINDOW = 1_000, 2_000
"""Characters between two looks, and how many are looked at. Two windows share so much that one unit fits in."""
WORDS, ELSE = 4_000, 32_000
"""Characters of nothing but repetition that are a chant: in words, and in what may be made of one thing many times."""
PLAIN = 4
"""Different characters that a rule, padding or a run of zeros has at most."""
KINDS = frozenset({"text", "thinking", "tool_call"})
"""What is looked at: not the names of calls, between which nobody would see that they say the same."""
FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
NO_PROSE = re.compile(r"^[ \t]*(?:\||[-*+] |\d+[.)] |>|#).*$", re.MULTILINE)


class Chant:
    """Watches the parts of one reply, a kind at a time; 4,000 characters are kept at most, each is looked at twice."""

    __slots__ = ("_fenced", "_held", "_kind", "_new", "_run", "_size", "_unit")

    def __init__(self) -> None:
        self._kind = self._held = ""
        self._new: list[str] = []
        self._size = self._run = self._unit = 0
        self._fenced = False

    def feed(self, kind: str, text: str) -> str:
        """What is said over and over up to *text*, which goes on with the part of *kind*; "" as long as nothing is."""
        if not text or kind not in KINDS:
            return ""
        if kind != self._kind:
            self._kind, self._held, self._new = kind, "", []
            self._size = self._run = self._unit = 0
            self._fenced = False
        self._new.append(text)
        self._size += len(text)
        if self._size < STEP:
            return ""
        new = "".join(self._new)
        whole = len(new) - len(new) % STEP
        self._new, self._size = [new[whole:]], len(new) - whole
        for at in range(0, whole, STEP):
            if found := self._look(new[at : at + STEP]):
                return found
        return ""

    def _look(self, piece: str) -> str:
        line = self._held[self._held.rfind("\n") + 1 :]  # a fence may be cut in two
        edge = line + piece
        if (len(FENCE.findall(edge)) - len(FENCE.findall(line))) % 2:
            self._fenced = not self._fenced
        self._held = (self._held + piece)[-WINDOW:]
        unit = _unit(self._held)
        self._run = 0 if not unit else self._run + STEP if unit == self._unit else WINDOW
        self._unit = unit
        said = self._held[:unit]
        return said if unit and self._run >= (WORDS if self._are_words(said) else ELSE) else ""

    def _are_words(self, said: str) -> bool:
        if self._kind not in {"text", "thinking"} or len(set(said)) <= PLAIN:
            return False
        if FENCE.search(self._held):
            return True  # the fences are a part of what is repeated
        lines = self._held.split("\n")
        return not self._fenced and (len(lines) == 1 or bool(NO_PROSE.sub("", "\n".join(lines[1:-1])).strip()))


def _unit(text: str) -> int:
    """The length of the unit of which *text*, a whole window, is made; 0 if of none.

    A first part that is no shorter than the unit comes again one unit further on, and nowhere before.
    """
    at = text.find(text[:LONGEST_UNIT], 1) if len(text) == WINDOW else 0
    return at if 0 < at <= LONGEST_UNIT and text.startswith(text[at:]) else 0
