"""Put what the sections of a spec's files say into its fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from nightmill.spec import words
from nightmill.spec.entries import Entry, entries, joined, scenario
from nightmill.spec.nouns import Criterion, Requirement
from nightmill.spec.outline import LABEL_LEVEL, Outline, Section

__all__ = ["UNNUMBERED", "Draft", "gather", "kinds"]

STORY = re.compile(r"user story (\d{1,3})[ \t]*[:.\u2013\u2014-]?[ \t]*(.*)", re.IGNORECASE)
REQUIREMENT = re.compile(r"requirement(?:[ \t]+(\d{1,3}))?[ \t]*(?::[ \t]*(.*)|$)", re.IGNORECASE)
SCENARIO = re.compile(r"(?:scenario|example|case)(?: \d{1,3})?[ \t]*[:.-][ \t]*(.*)", re.IGNORECASE)
PRIORITY = re.compile(r"[ \t]*\(priority:[^()]{0,20}\)[ \t]*", re.IGNORECASE)
META = re.compile(r"\*\*(?:feature branch|created|status|branch|date|author|input)\*\*", re.IGNORECASE)
STANDING = re.compile(
    r"(?:feature specification|feature spec|specification|spec|change proposal|change|proposal|prd|rfc|design)"
    r"[ \t]*[:\u2013\u2014-][ \t]*",
    re.IGNORECASE,
)
UNNAMED = re.compile(
    r"(?:requirements(?: document)?|feature specification|specification|spec|proposal|readme)$", re.IGNORECASE
)
LISTS = ("guardrails", "contracts", "tests", "ui", "skills")
UNNUMBERED = "?"
"""Begins the id of a requirement without one, until the whole spec is read."""
NOTHING = frozenset({"none", "n/a", "na", "nothing", "-", "no", "none yet", "not applicable", "none known"})
OWNERS = ("requirement", "story")


@dataclass(slots=True)
class Draft:
    """A spec that is being filled."""

    title: str = ""
    goal: list[str] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)
    lists: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in LISTS})
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    """Ids of requirements by file and line."""


def gather(draft: Draft, outline: Outline, *, name: str, take: frozenset[str]) -> None:
    """Add what *outline*, of the file *name*, says to *draft*; only sections of the kinds in *take* are read."""
    if take & {"all", "title"}:
        draft.title = draft.title or _title(outline)
    meant = kinds(outline)
    reader = _Reader(draft=draft, outline=outline, kinds=meant, name=name)
    for index, kind in enumerate(meant):
        if kind and (kind in take or "all" in take):
            reader.read(index)


def kinds(outline: Outline) -> list[str]:
    """What each section is for: by its own title, else by that of the section around it."""
    found: list[str] = []
    title = _title_index(outline)
    for index, section in enumerate(outline.sections):
        around = found[section.above[-1]] if section.above else ""
        if index == title:
            found.append("title")
        else:
            found.append("goal" if section.level == 0 else _kind(section, around))
    return found


def _title_index(outline: Outline) -> int:
    """The section whose heading is the title: the first of level 1, else the first, if it says nothing else."""
    headings = [(index, section) for index, section in enumerate(outline.sections) if 0 < section.level < LABEL_LEVEL]
    for index, section in headings:
        if section.level == 1 and not words.kind_of(section.title, exact=True):
            return index
    return headings[0][0] if headings and not _kind(headings[0][1], "") else -1


def _kind(section: Section, around: str) -> str:
    title = section.title
    single = _single(section, around)
    if single:
        return single
    own = words.kind_of(title)
    if own == "goal" and around in OWNERS:
        return "part"
    if own:
        return own
    if around in OWNERS:
        return "criterion" if scenario(joined(section.blocks)) else "notes"
    return "" if around in ("title", "") else "notes" if around == "criterion" else around


def _single(section: Section, around: str) -> str:
    """The kind of a section that is one statement as a whole, "" for any other."""
    title = section.title
    if STORY.match(title):
        return "story"
    if around in ("removed", "renamed"):
        return around
    if REQUIREMENT.match(title):
        return "requirement"
    if SCENARIO.match(title) and around in ("criteria", *OWNERS):
        return "criterion"
    if words.leading_id(title)[0]:
        return {"criteria": "criterion", "requirements": "requirement"}.get(around, "")
    return ""


def _title(outline: Outline) -> str:
    index = _title_index(outline)
    heading = outline.sections[index].title if index >= 0 else ""
    for text in (outline.title, heading):
        title = words.plain(STANDING.sub("", text, count=1))
        if title and not UNNAMED.match(title):
            return title
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the sections of one file into the draft, each by its kind."""

    draft: Draft
    outline: Outline
    kinds: list[str]
    name: str

    def read(self, index: int) -> None:
        section, kind = self.outline.sections[index], self.kinds[index]
        if kind in LISTS:
            self._list(section, kind)
        elif step := getattr(self, f"_{kind}", None):
            step(section)

    def _title(self, section: Section) -> None:
        self.draft.goal.extend(_paragraphs(section))

    _goal = _title

    def _requirements(self, section: Section) -> None:
        for entry in entries(section.blocks):
            self._require(entry.id, entry.text, entry.line)

    def _requirement(self, section: Section) -> None:
        self._require(self._owner_id(section), f"{self._name(section)}: {joined(section.blocks)}", section.line)

    def _story(self, section: Section) -> None:
        self._requirement(section)

    def _part(self, section: Section) -> None:
        """The user story under a requirement's heading."""
        if self.draft.requirements:
            last = self.draft.requirements[-1]
            said = words.plain(joined(section.blocks))
            self.draft.requirements[-1] = replace(last, text=f"{last.text}: {said}")

    def _removed(self, section: Section) -> None:
        """A behaviour that goes: that it is gone can be seen, so the requirement brings its criterion."""
        if not REQUIREMENT.match(section.title):
            return
        name = self._name(section)
        owner = self._require("", f"Remove \u201c{name}\u201d. {joined(section.blocks)}", section.line)
        self._show(Entry(text=f"\u201c{name}\u201d no longer holds.", line=section.line), owner)

    def _renamed(self, section: Section) -> None:
        self.draft.lists["contracts"].extend(entry.text for entry in entries(section.blocks))

    def _criteria(self, section: Section) -> None:
        owner = self._owner(section)
        for number, entry in enumerate(entries(section.blocks), start=1):
            own = entry.id
            if not own and owner and not owner.startswith(UNNUMBERED):
                own = f"{owner.removeprefix('R')}.{entry.number or number}"
            self._show(replace(entry, id=own), owner)

    def _criterion(self, section: Section) -> None:
        owner = self._owner(section)
        own, rest = words.leading_id(section.title)
        named = SCENARIO.match(rest)
        heading = words.plain(named[1] if named else rest)
        said = words.plain(joined(section.blocks))
        text = f"{heading}: {said}" if heading and said else heading or said
        self._show(Entry(text=text, line=section.line, id=own), owner)

    def _list(self, section: Section, kind: str) -> None:
        said = (entry.text for entry in entries(section.blocks))
        self.draft.lists[kind].extend(text for text in said if text.lower().strip(" .") not in NOTHING)

    def _require(self, own: str, text: str, line: int) -> str:
        """Add a requirement and return its id."""
        said = words.plain(text).strip().removesuffix(":")
        name = own or f"{UNNUMBERED}{len(self.draft.requirements)}"
        if said:
            self.draft.requirements.append(Requirement(id=name, text=said, line=line, file=self.name))
            self.draft.places[self.name, line] = name
        return name

    def _show(self, entry: Entry, owner: str) -> None:
        shows = (owner,) if owner else ()
        self.draft.criteria.append(
            Criterion(id=entry.id, text=entry.text, line=entry.line, requirements=shows, file=self.name)
        )

    def _owner(self, section: Section) -> str:
        """The requirement or story around *section*, "" for none."""
        for index in reversed(section.above):
            if self.kinds[index] in OWNERS:
                return self.draft.places.get((self.name, self.outline.sections[index].line), "")
        return ""

    def _owner_id(self, section: Section) -> str:
        if story := STORY.match(section.title):
            return f"US{story[1]}"
        found = REQUIREMENT.match(section.title)
        if found and found[1]:
            return f"R{found[1]}"
        return words.leading_id(section.title)[0]

    def _name(self, section: Section) -> str:
        found = STORY.match(section.title) or REQUIREMENT.match(section.title)
        title = (found[2] or "") if found else words.leading_id(section.title)[1]
        return words.plain(PRIORITY.sub("", title)) or words.plain(section.title)


def _paragraphs(section: Section) -> Iterator[str]:
    for block in section.blocks:
        if META.match(block.text):
            continue
        said = block.text if block.kind == "code" else words.unwrapped(words.plain(block.text))
        if said and said.strip("-") != "":
            yield f"- {said}" if block.kind == "item" else said
