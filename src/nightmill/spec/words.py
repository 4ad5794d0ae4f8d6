"""What headings, ids and words mean in a spec: the lists of vocabulary.toml, made into questions.

Every pattern here does work that grows with the text and no faster: repetitions are bounded or cannot overlap.
"""

from __future__ import annotations

import functools
import re
import tomllib
from importlib.resources import files

__all__ = [
    "claim",
    "concrete",
    "hedges",
    "ids",
    "kind_of",
    "leading_id",
    "observable",
    "placeholders",
    "plain",
    "significant",
    "unwrapped",
    "vague",
    "weasels",
]

LONGEST_NAME = 5
"""Words in the longest name of a heading, and so how far a heading is read from either end."""
NUMBERING = re.compile(r"^(?:\d{1,3}[.)]|\d{1,3}(?:\.\d{1,3}){1,3}|[ivx]{1,4}[.)])[ \t]+")
ASIDE = re.compile(r"\*?\([^()]{0,80}\)\*?[ \t]*$")
APART = re.compile(r"&|/|,|:|\u2013|\u2014| and ")

KNOWN_ID = r"(?:FR|NFR|SC|AC|US|UC|BR|CR|TR|REQ|R|C)[-_ ]?\d{1,4}(?:\.\d{1,3}){0,2}[a-z]?"
FREE_ID = r"(?!UTF-|ISO-|RFC-|SHA-|CVE-|PEP-)[A-Z]{2,6}-\d{1,4}"
ID = re.compile(rf"(?<![\w.-])(?:{KNOWN_ID}|{FREE_ID})(?![\w-])")
LEADING = re.compile(
    rf"[*_\[`]{{0,4}}({KNOWN_ID}|{FREE_ID})"
    r"(?:[*_\]`]{1,4}[ \t]*(?:[:.)|\u2013\u2014-](?=[ \t]|$))?|[ \t]*[:.)|\u2013\u2014-](?=[\s*_]|$)[*_]{0,4}"
    r"|[ \t]+(?=\([^()\n]{1,80}\)[ \t]*:))[ \t]*"
)

CODE_SPAN = re.compile(r"`[^`\n]+`")
CODE_APART = re.compile(r"(`[^`\n]+`)")
QUOTED = re.compile(
    r"\"[^\"\n]{1,200}\"|\u201c[^\u201d\n]{1,200}\u201d|\u00ab[^\u00bb\n]{1,200}\u00bb|(?<!\w)'[^'\n]{1,60}'(?!\w)"
)
LINK_TARGET = re.compile(r"\]\([^()\s]{1,400}\)")
NUMBER = re.compile(r"\d")

SLOT = r"your|describe|explain|fill in|e\.g\.,?"
PLACEHOLDERS = (
    re.compile(r"needs[ _-]clarification", re.IGNORECASE),
    re.compile(r"\blorem ipsum\b", re.IGNORECASE),
    re.compile(r"\bACTION REQUIRED\b"),
    re.compile(r"\b(?:TBD|TBC|FIXME|to be (?:decided|determined|defined|confirmed)(?! by))\b", re.IGNORECASE),
    re.compile(r"\bTODO\b(?=[ \t]*[:)\]])|^[ \t*_-]{0,8}TODO[ \t.*_]{0,8}$"),
    re.compile(r"\?\?\?|\$ARGUMENTS\b"),
    re.compile(r"(?<!\w)<(?:\u2026|\.\.\.|[A-Za-z][\w'-]{0,30}(?:[ \t]+[\w',.-]{1,30}){1,12})>"),
    re.compile(r"(?<!\w)<(?:feature|title|tbd|todo|placeholder)>", re.IGNORECASE),
    re.compile(r"(?<![\w\])`])\[(?:[A-Z#$][A-Z0-9#'_-]*(?: [A-Z0-9#'&_-]+)+|###[\w-]{0,40})\](?![(\[])"),
    re.compile(r"(?<![\w\])`])\[(?:FEATURE|NAME|TITLE|DATE|DESCRIPTION|PROJECT|\.\.\.|\u2026)\](?![(\[])"),
    re.compile(rf"(?<![\w\])`])\[(?:{SLOT})[ ][^\]\[\n]{{1,120}}\](?![(\[])", re.IGNORECASE),
    re.compile(
        r"(?<![\w\])`])\[(?:brief title|initial state|expected outcome|specific capability|key interaction"
        r"|boundary condition|error scenario)\](?![(\[])",
        re.IGNORECASE,
    ),
)

GRAMMAR = frozenset(
    {"an", "are", "be", "being", "can", "cannot", "do", "does", "doesn", "don", "is", "isn", "it", "its", "may", "must"}
    | {"never", "no", "not", "shall", "should", "that", "the", "this", "was", "were", "will", "won", "without"}
)
WORD = re.compile(r"[A-Za-z0-9_]{2,60}")
ENDING = re.compile(r"(?:ing|ies|ied|ed|es|s|ly|e|y)$")
SHORTEST = 3


def kind_of(title: str, *, exact: bool = False) -> str:
    """What a section called *title* is for, "" if the title says nothing; *exact*: the whole title must say it.

    Otherwise the longest known name at its beginning counts ("Acceptance criteria for the API"), then the longest
    at its end ("Security requirements").
    """
    kinds = _kinds()
    name = _heading(title)
    if exact or name in kinds:
        return kinds.get(name, "")
    first = APART.split(name, maxsplit=1)[0].strip()
    if first in kinds:
        return kinds[first]
    parts = name.split()
    lengths = range(min(LONGEST_NAME, len(parts)), 0, -1)
    found = [" ".join(parts[:count]) for count in lengths] + [" ".join(parts[-count:]) for count in lengths]
    sure = _vocabulary()["language"]["sure"]
    return next((kinds[each] for each in found if each in kinds and (" " in each or each in sure)), "")


def leading_id(text: str) -> tuple[str, str]:
    """The author's own id at the beginning of *text* ("**FR-001**: …"), "" if there is none, and the rest."""
    found = LEADING.match(text)
    return (found[1].replace(" ", ""), text[found.end() :]) if found else ("", text)


def ids(text: str) -> tuple[str, ...]:
    """Every id that *text* mentions, in order."""
    return tuple(found.replace(" ", "") for found in ID.findall(text))


def plain(text: str) -> str:
    """*text* without marks of emphasis; code spans stay as they are."""
    parts = CODE_APART.split(text)
    return "".join(part if part[:1] == "`" else part.replace("**", "").replace("__", "") for part in parts).strip()


def unwrapped(text: str) -> str:
    """*text* in one line. Spaces inside a line stay: in code they mean something."""
    return " ".join(line.strip() for line in text.split("\n") if line.strip())


def placeholders(line: str) -> list[str]:
    """What in *line* stands for something that is still to be written; code and quotations are not searched."""
    spoken = QUOTED.sub("\u201c\u201d", CODE_SPAN.sub("`_`", LINK_TARGET.sub("](_)", line)))
    return [found[0].strip(" *_-") for pattern in PLACEHOLDERS if (found := pattern.search(spoken))]


def weasels(line: str) -> list[str]:
    """Words in *line* that please and say nothing; none if a number beside them says what is meant."""
    spoken = QUOTED.sub("\u201c\u201d", CODE_SPAN.sub("`_`", line))
    return [] if NUMBER.search(spoken) else _pattern("weasel").findall(spoken)


def hedges(line: str) -> list[str]:
    """Words in *line* that leave open whether it holds."""
    return _pattern("hedge").findall(QUOTED.sub("\u201c\u201d", CODE_SPAN.sub("`_`", line)))


def significant(text: str) -> frozenset[str]:
    """The stems of the words of *text* that say what it is about."""
    stop = _stop()
    found = (word.lower() for word in WORD.findall(text))
    return frozenset(_stem(word) for word in found if len(word) >= SHORTEST and word not in stop and not word.isdigit())


def claim(text: str) -> frozenset[str]:
    """What *text* says, apart from whether it says yes or no, and from words that change with the grammar only."""
    found = (word.lower() for word in WORD.findall(text))
    return frozenset(_stem(word) for word in found if word not in GRAMMAR)


def concrete(text: str) -> bool:
    """Whether *text* names a value: a number, code, or quoted words."""
    return bool(NUMBER.search(text) or "```" in text or CODE_SPAN.search(text) or QUOTED.search(text))


def vague(text: str) -> str:
    """The first words of *text* that nobody can check, "" if there are none."""
    found = _pattern("vague").search(text) or _pattern("weasel").search(text)
    return found[0].strip() if found else ""


def observable(text: str) -> bool:
    """Whether *text* says something that a person or a program can see happen or not."""
    return _pattern("observable").search(text) is not None


@functools.cache
def _vocabulary() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files("nightmill.spec").joinpath("vocabulary.toml").read_text(encoding="utf-8"))


@functools.cache
def _kinds() -> dict[str, str]:
    return {name: kind for kind, names in _vocabulary()["headings"].items() for name in names}


@functools.cache
def _stop() -> frozenset[str]:
    return frozenset(_vocabulary()["language"]["stop"])


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    """Any phrase of the list *name*, the longest first, as whole words and not as part of a path or a flag."""
    language = _vocabulary()["language"]
    phrases = sorted(language[name], key=len, reverse=True)
    chosen = "|".join(re.escape(phrase).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") for phrase in phrases)
    after = rf"(?!\s(?:{'|'.join(language['harmless'])})\b)" if name == "weasel" else ""
    return re.compile(rf"(?<![\w/.-])(?:{chosen})(?![\w/-]){after}", re.IGNORECASE)


def _heading(title: str) -> str:
    name = ASIDE.sub("", title.replace("*", "").replace("_", " ").replace("`", "").strip())
    name = NUMBERING.sub("", name.replace("\u2019", "'").strip(" \t:.#\u2013\u2014-"))
    while name and not name[0].isalnum():
        name = name[1:]
    return " ".join(name.lower().split())


def _stem(word: str) -> str:
    stem = ENDING.sub("", word, count=1)
    if len(stem) > SHORTEST and stem[-1] == stem[-2]:
        stem = stem[:-1]  # "stopped", "stop"
    return stem if len(stem) >= SHORTEST else word
