"""What the words of an ask mean: text in two languages, with slips of the finger, to the meanings of words.toml."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

__all__ = ["LONGEST", "Reach", "Word", "asks", "clauses", "clean", "lexicon", "quoted", "read", "stem", "unquoted"]

LONGEST = 20_000
"""Characters of an ask. What is longer is a spec, or a log that belongs in an input."""
LOOKED_AT = 2_000
"""Characters of it that are compared with cues: people say first what they want."""
SHORTEST_SLIP = 5
"""Letters of a word in which one slip is forgiven: shorter ones become other words."""
HEAD = 1
"""Words at the beginning of a clause, of those that say anything, that say what is wanted."""
VERSION = re.compile(r"v\d+|v?\d+(?:\.(?:\d+|x))+|\d+\.x")
ARROW = re.compile(r"->|=>|→|⇒|➜")
NEGATED = 3
"""Words after "not" that it is about."""

FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
QUOTE = re.compile(
    r"`([^`\n]{1,2000})`|\"([^\"\n]{1,2000})\"|“([^”\n]{1,2000})”|„([^“”\n]{1,2000})[“”]|«([^»\n]{1,2000})»"
)
URL = re.compile(r"https?://[^\s<>\"')\]]+")
TOKEN = re.compile(r"--?[\w-]+|@?[\w./-]*\w(?:\(\))?", re.UNICODE)
SPLIT = re.compile(
    r"\n+|(?<=[a-zäöüß0-9)])[.;!?]\s+|\s*;\s*|,\s+|(?:^|\s)(?:\d[.)]|[-*•])\s+|\s+(?:and|und|then|dann|also|danach)\s+"
)
PAUSE = re.compile(r"([,;:!?\n]+|\.\s)")
"""Behind which a "not" reaches no further."""
SUFFIXES = ("ing", "ed", "es", "en", "er", "em", "e", "s", "n")
LEAST_STEM = 3
UNCUT = frozenset({"then"})
"""What would become another word."""


class Word(NamedTuple):
    """A word as it was *said*, and what it *means*: a group's name, or its stem.

    *known*: it is in a list or a cue. *head*: it stands where a clause says what is wanted, at its beginning, or as an
    infinitive at its end.
    """

    said: str
    means: str
    known: bool = False
    head: bool = False


class Reach(NamedTuple):
    """Verbs, stemmed, of what is done outside a checkout; *objects* empty: whatever they are done to.

    *about* says what that is. *soft*: its verbs also mean other things, so that a blueprint that clearly fits may be offered.
    """

    verbs: frozenset[str]
    objects: frozenset[str]
    about: str
    soft: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """words.toml, stemmed."""

    means: Mapping[str, str]
    phrases: Mapping[tuple[str, ...], tuple[str, ...]]
    stop: frozenset[str]
    generic: frozenset[str]
    negation: frozenset[str]
    reach: tuple[Reach, ...]
    override: tuple[tuple[str, ...], ...]
    spell: tuple[tuple[str, ...], ...]
    unsure: tuple[tuple[str, ...], ...]
    private: frozenset[str]
    idle: frozenset[str]
    asks: frozenset[str]
    about: frozenset[str]
    light: frozenset[str]
    finite: frozenset[str]
    courtesy: frozenset[str]
    runs: str
    reads: str
    whose: str
    post: str


def clean(text: str) -> str:
    """*text* in one normal form, without what cannot be seen or turns the writing round; line ends stay."""
    seen = unicodedata.normalize("NFKC", text)
    kept = "".join(each if each.isprintable() or each == "\n" else " " for each in seen)
    return "\n".join(" ".join(line.split()) for line in kept.splitlines()).strip()


def quoted(text: str) -> tuple[str, ...]:
    """What stands in quotes or fences: material, of which no word is looked at."""
    fenced = [each.group().strip("`").strip() for each in FENCE.finditer(text)]
    rest = FENCE.sub(" ", text)
    return (*fenced, *(next(filter(None, each.groups()), "") for each in QUOTE.finditer(rest)))


def unquoted(text: str) -> str:
    """*text* with a mark in the place of what is quoted, and of addresses."""
    return URL.sub(" § ", QUOTE.sub(" § ", FENCE.sub(" § ", text)))[:LOOKED_AT]


def clauses(text: str) -> tuple[str, ...]:
    """*text* where it could be cut into several asks."""
    return tuple(part.strip() for part in SPLIT.split(unquoted(text)) if part and part.strip())


def read(text: str, *, vocabulary: frozenset[str] = frozenset()) -> tuple[Word, ...]:
    """The words of *text*, which has no quotes any more, in their order; *vocabulary*: meanings that cues have."""
    found: list[Word] = []
    parts = PAUSE.split(ARROW.sub(" becomes ", text.casefold()))
    for part, before in zip(parts[::2], ["", *parts[1::2]], strict=True):
        said = [each for each in TOKEN.findall(part) if each.strip("-./")]
        words = _headed(list(_negated([_slipped(each, vocabulary) for each in _turns(said, lexicon())])))
        # Behind a comma "which" begins no question.
        found += [
            each._replace(head=each.head and (before != "," or each.said not in lexicon().asks)) for each in words
        ]
    return (*found, Word("?", "question", True)) if asks(text) else tuple(found)


def asks(text: str) -> bool:
    """Whether *text* has a question for what is so, rather than a request in the form of one."""
    for found in re.finditer(r"[^.!?\n]*\?", text.casefold()):
        said = [each for each in TOKEN.findall(found[0]) if each not in lexicon().courtesy]
        if said and said[0] in lexicon().asks:
            return True
    return False


def _headed(words: list[Word]) -> Iterable[Word]:
    """*words* of one clause, with those marked that say what is wanted."""
    telling = [each for each in words if each.means not in lexicon().stop and each.means not in lexicon().negation]
    heads = {id(each) for each in telling[:HEAD]}
    heads |= {id(each) for each in telling[-1:] if each.said.endswith("en")}
    heads |= {id(each) for each in telling if each.means == "becomes"}
    return (each._replace(head=id(each) in heads) for each in words)


def _turns(said: list[str], known: Lexicon) -> Iterable[Word]:
    """Words, with turns of speech in the place of theirs; the words of one may stand apart by two others."""
    stems = [stem(each) for each in said]
    taken: set[int] = set()
    at_place: dict[int, list[Word]] = {}
    for phrase, meanings in known.phrases.items():
        places = _places(stems, phrase, taken)
        if places:
            taken |= set(places)
            shown = " ".join(said[each] for each in places)
            at_place[places[0]] = [Word(shown, means, True) for means in meanings]
    for place, word in enumerate(said):
        if place in at_place:
            yield from at_place[place]
        elif place not in taken:
            yield _word(word, stems[place], known)


def _places(stems: list[str], phrase: tuple[str, ...], taken: set[int]) -> tuple[int, ...]:
    for start, first in enumerate(stems):
        if first != phrase[0] or start in taken:
            continue
        places, at = [start], start
        for wanted in phrase[1:]:
            end = at + (FAR if wanted in APART else 1) + 1
            if wanted not in stems[at + 1 : end]:
                break
            at = stems.index(wanted, at + 1)
            places.append(at)
        else:
            return tuple(places)
    return ()


def _word(said: str, stemmed: str, known: Lexicon) -> Word:
    if VERSION.fullmatch(said):
        return Word(said, "version", True)
    if said.startswith("-") and len(said) > 1:
        return Word(said, "option", True)
    if stemmed in known.means:
        return Word(said, known.means[stemmed], True)
    listed = stemmed in known.stop or stemmed in known.generic or stemmed in known.negation
    return Word(said, stemmed, listed)


def _slipped(word: Word, vocabulary: frozenset[str]) -> Word:
    """*word*, or the one that it is but for one slip of the finger."""
    if word.known or word.means in vocabulary:
        return word
    if len(word.said) < SHORTEST_SLIP or not word.said.isalpha():
        return word
    known = lexicon()
    near = {known.means[each] for each in known.means if _one_slip(word.means, each)}
    return Word(word.said, near.pop(), True) if len(near) == 1 else word


def _one_slip(one: str, other: str) -> bool:
    """Whether a letter is left out, put in, changed or changes places; the first stays."""
    if len(other) < SHORTEST_SLIP or abs(len(one) - len(other)) > 1 or one[0] != other[0] or one == other:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _negated(words: list[Word]) -> Iterable[Word]:
    """*words*, where those that are said not to be wanted mean "¬" and what they would."""
    left = 0
    for word in words:
        if word.means in lexicon().negation:
            left = NEGATED
            yield word
            continue
        yield Word(word.said, f"¬{word.means}", word.known) if left and word.means not in lexicon().stop else word
        left = max(0, left - (word.means not in lexicon().stop))


APART, FAR = frozenset({"auf", "fehl", "um"}), 6
"""Second words of German verbs, which stand at the end of the sentence, at most so far behind the first."""


@cache
def stem(word: str) -> str:
    """*word* without endings that English or German give it; identifiers and paths as they are."""
    word = word.casefold().replace("ß", "ss").replace("’", "'")
    if not word.replace("'", "").isalpha():
        return word
    word = "".join(each for each in unicodedata.normalize("NFD", word) if not unicodedata.combining(each))
    word = word.replace("'", "")
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= LEAST_STEM and word not in UNCUT:
            word = word[: -len(suffix)]
            break
    if word.endswith("ie"):
        word = word[:-2] + "y"
    return word[:-1] if len(word) > LEAST_STEM and word[-1] == word[-2] and word[-1] not in "sl" else word


@cache
def lexicon() -> Lexicon:
    """The lists of words.toml."""
    body: dict[str, Any] = tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))
    means: dict[str, str] = {}
    for name, words in body["same"].items():
        means |= dict.fromkeys([stem(each) for each in words.split()], name)
    phrases = {
        tuple(stem(each) for each in TOKEN.findall(key)): tuple(value.split()) for key, value in body["phrases"].items()
    }
    longest = sorted(phrases, key=len, reverse=True)
    return Lexicon(
        means=means,
        phrases={each: phrases[each] for each in longest},
        stop=_stems(body["stop"]),
        generic=_stems(body["generic"]) | {means.get(each, each) for each in _stems(body["generic"])},
        negation=_stems(body["negation"]),
        reach=tuple(
            Reach(_stems(each["verbs"]), _stems(each.get("objects", "")), each["about"], each.get("soft", False))
            for each in body["reach"]
        ),
        override=_turns_of(body["asides"]["override"]),
        spell=_turns_of(body["asides"]["spell"]),
        unsure=_turns_of(body["asides"]["unsure"]),
        private=_stems(body["asides"]["private"]),
        idle=_stems(body["asides"]["idle"]),
        asks=frozenset(body["asides"]["asks"].split()),
        about=_stems(body["asides"]["about"]),
        light=_stems(body["asides"]["light"]),
        finite=frozenset(body["asides"]["finite"].split()),
        courtesy=frozenset(body["asides"]["courtesy"].split()),
        **{name: _any_of(body["asides"][name]) for name in ("runs", "reads", "whose", "post")},
    )


def _any_of(words: str) -> str:
    """A pattern of any of *words*, in which - is a blank and * any ending."""
    return "|".join(re.escape(each).replace(r"\-", r"\s+").replace(r"\*", r"\w*") for each in words.split())


def _turns_of(words: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(stem(part) for part in each.split("-")) for each in words.split())


def _stems(words: str) -> frozenset[str]:
    return frozenset(stem(each) for each in words.split())
