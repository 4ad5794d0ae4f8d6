"""What no run may be for: what is done outside a checkout, to people, money or the rules, known by verbs and what they are done to."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from nightmill.intake.words import Reach, Word, clauses, lexicon, read, stem, unquoted

__all__ = ["RULES", "Beyond", "aside", "beyond", "says", "tells"]

MOST_PARTS = 12
"""Clauses that are looked at, each against all cues."""
PIPED = re.compile(
    r"\b(?:curl|wget)\b[^\n]{0,300}\|\s*(?:sudo\s+)?(?:ba|z)?sh\b|\brm\s+-\w*[rf]|:\(\)\s*\{", re.IGNORECASE
)
ANCHOR = re.compile(r"\w/\w|\w_\w|\w\(\)|#\d|\w\.\w{1,4}\b")
"""A name out of the code."""


RULES = "it speaks to whoever reads it about its rules, and an ask changes none"


class Beyond(NamedTuple):
    """What an ask wants that is no work on code. *sure*: whatever else it says, it is refused."""

    reason: str
    sure: bool


def beyond(
    words: str, *, fits: Callable[[str, str, frozenset[str]], bool], clear: Callable[[str], bool]
) -> Beyond | None:
    """What *words* want outside a checkout, the surest of it; None if nothing.

    *fits* says whether a blueprint that matches the clause has the verb, and one of the objects, in its cues; *clear* whether
    one clearly fits the clause, apart from this.
    """
    plain = unquoted(words)
    heard = [stem(each.said) for each in read(plain)]
    if says(heard, lexicon().spell):
        return Beyond(RULES, True)
    if PIPED.search(words) or _command().search(plain):
        return Beyond(
            "it asks for a command to be run as it stands, which no ask does: what runs is what a blueprint says", True
        )
    if (owned := _reads().search(plain)) is not None:
        return Beyond(f"it asks to {owned[0]!r}, which is not in a repository", True)
    if any(each in lexicon().idle for each in heard) and not ANCHOR.search(plain):
        return Beyond("it is not about code: no approved blueprint does that", True)
    if (private := next((each for each in read(plain) if stem(each.said) in lexicon().private), None)) is not None:
        return Beyond(f"it is about {private.said!r}, which is not in a repository", not clear(words))
    found = [each for part in clauses(words)[:MOST_PARTS] for each in _of(part, fits, clear)]
    return min(found, key=lambda each: not each.sure, default=None)


def says(stems: Sequence[str], turns: Sequence[tuple[str, ...]]) -> bool:
    """Whether one of *turns* of speech stands among *stems*, its words side by side."""
    return any(tuple(stems[at : at + len(each)]) == each for each in turns for at in range(len(stems)))


def aside(heard: Sequence[Word]) -> bool:
    """Whether it asks to leave out what policy wants."""
    return says([stem(each.said) for each in heard], lexicon().override)


def tells(part: str) -> bool:
    """Whether a clause tells something, and asks for nothing."""
    return bool({each.strip(",'") for each in part.casefold().split()[1:]} & lexicon().finite)


def _of(part: str, fits: Callable[[str, str, frozenset[str]], bool], clear: Callable[[str], bool]) -> list[Beyond]:
    said = [each for each in read(part) if stem(each.said) not in lexicon().stop | lexicon().light and each.said != "?"]
    single = [word for each in said for word in each.said.split()]
    if not single:
        return []
    telling = {stem(each) for each in single}
    verbs = single[:1] + [each for each in single[-1:] if each.endswith("en")]
    found = []
    for reach in lexicon().reach:
        verb = next((each for each in verbs if stem(each) in reach.verbs), None)
        if (
            verb is None
            or (reach.objects and not reach.objects & telling - {stem(verb)})
            or fits(part, stem(verb), reach.objects)
        ):
            continue
        if reach.soft and (tells(part) or clear(part)):
            found.append(Beyond(_reason(verb, reach), False))
        else:
            found.append(Beyond(_reason(verb, reach), True))
    return found


def _reason(verb: str, reach: Reach) -> str:
    return f"it asks to {verb!r}, which is about {reach.about}: no approved blueprint does that"


@cache
def _command() -> re.Pattern[str]:
    """To run something, with the thing in quotes behind it."""
    return re.compile(rf"\b(?:{lexicon().runs})\s+(?:this\s+|the\s+command\s+)?§", re.IGNORECASE)


@cache
def _reads() -> re.Pattern[str]:
    """To go through what belongs to somebody."""
    known = lexicon()
    return re.compile(rf"\b(?:{known.reads})\b[^.,;]{{0,40}}?\b(?:{known.whose})\s+(?:{known.post})\b", re.IGNORECASE)
