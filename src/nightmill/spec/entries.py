"""The statements that a section makes: one per list item, table row, paragraph or Given/When/Then scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nightmill.spec import words
from nightmill.spec.outline import Block

__all__ = ["Entry", "entries", "joined", "scenario"]

STEP = re.compile(r"[*_]{0,2}(given|when|then|and|but)\b", re.IGNORECASE)
GIVEN = re.compile(r"[*_]{0,2}given\b", re.IGNORECASE)
SCENARIO = re.compile(r"[ \t]{0,20}(?:scenario|example)(?: outline)?:[ \t]*(.*)", re.IGNORECASE)
OPENS = re.compile(r"[*_]{0,2}(?:given|when)\b", re.IGNORECASE)
THEN = re.compile(r"\bthen\b", re.IGNORECASE)
OUTCOME = re.compile(r"\b(?:then|shall|must)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One statement. *id* is the author's own, "" without one; *number* is that of a numbered item."""

    text: str
    line: int
    id: str = ""
    number: str = ""


@dataclass(slots=True)
class _Draft:
    """An entry that still takes in what belongs to it."""

    parts: list[str]
    line: int
    kind: str
    depth: int = 0
    number: str = ""
    children: list[_Draft] = field(default_factory=list)
    closed: bool = False
    """Whether a scenario has its outcome, so that the next condition begins another."""

    @property
    def group(self) -> bool:
        """Whether this only names what stands below it: "Happy path:"."""
        return bool(self.children) and self.parts[-1].rstrip("* ").endswith(":") and not STEP.match(self.parts[0])


def entries(blocks: Sequence[Block]) -> list[Entry]:
    """The statements in *blocks*, in order.

    Items below an item are part of it, unless it only names them. Beside a list, paragraphs introduce it and
    are no statements, unless they are scenarios or begin with an id.
    """
    drafts = _drafts(blocks)
    listed = any(draft.kind != "text" for draft in drafts)
    found: list[Entry] = []
    for draft in drafts:
        if draft.kind == "text" and (_introduces(draft) or (listed and not _stands_alone(draft))):
            continue
        found.extend(_flat(draft))
    return found


def joined(blocks: Sequence[Block]) -> str:
    """All of *blocks* as one text, a line per block."""
    return "\n".join(_said(block.text) for block in blocks)


def scenario(text: str) -> bool:
    """Whether *text* has the form of a scenario or of an EARS sentence: a condition, then an outcome."""
    opening = re.search(r"\b(?:given|when|while|if|where|whenever)\b", text, re.IGNORECASE)
    return bool(opening and OUTCOME.search(text, opening.end()))


def _drafts(blocks: Sequence[Block]) -> list[_Draft]:
    top: list[_Draft] = []
    above: list[_Draft] = []
    for block in blocks:
        if block.kind == "code":
            _take_code(top, block)
            above = []
        elif block.kind == "item":
            draft = _Draft(parts=[block.text], line=block.line, kind="item", depth=block.depth, number=block.number)
            draft.closed = THEN.search(block.text) is not None
            while above and above[-1].depth >= draft.depth:
                above.pop()
            _place(top, above, draft)
        else:
            above = []
            top.extend(_paragraphs(block))
    return top


def _place(top: list[_Draft], above: list[_Draft], draft: _Draft) -> None:
    """Put an item below the one that it stands under; a step of a scenario goes to the step before it."""
    siblings = above[-1].children if above else top
    before = siblings[-1] if siblings else None
    step = STEP.match(draft.parts[0])
    if before and step and _goes_on(before, step[1].lower()):
        before.parts += draft.parts
        before.closed = before.closed or draft.closed
        above.append(before)
    else:
        siblings.append(draft)
        above.append(draft)


def _goes_on(before: _Draft, step: str) -> bool:
    """Whether *step* belongs to the scenario of the item before it: a new Given, or a When past the outcome, does not."""
    if before.kind != "item" or not STEP.match(before.parts[0]):
        return False
    return step != "given" and not (before.closed and step == "when")


def _take_code(top: list[_Draft], block: Block) -> None:
    lines = block.text.split("\n")[1:-1]
    steps = sum(1 for line in lines if STEP.match(line.strip()))
    if steps > 1 and steps * 2 >= len([line for line in lines if line.strip()]):
        top.extend(_scenarios(lines, block.line + 1))
    elif top:
        top[-1].parts.append(block.text)
    else:
        top.append(_Draft(parts=[block.text], line=block.line, kind="text"))


def _paragraphs(block: Block) -> list[_Draft]:
    lines = block.text.split("\n")
    if block.kind == "text" and sum(1 for line in lines if STEP.match(line)) > 1:
        return _scenarios(lines, block.line)
    if block.kind == "text" and len(lines) > 1 and all(words.leading_id(line)[0] for line in lines):
        return [_Draft(parts=[line], line=block.line + index, kind="row") for index, line in enumerate(lines)]
    kind = "row" if block.kind == "row" else "text"
    return [_Draft(parts=[block.text], line=block.line, kind=kind)]


def _scenarios(lines: Sequence[str], first: int) -> list[_Draft]:
    """One draft per scenario of *lines*: each begins at its name or, without one, at its Given."""
    found: list[_Draft] = []
    for number, line in enumerate(lines, start=first):
        text = line.strip()
        named = SCENARIO.match(text)
        begun = found and not any(STEP.match(part) for part in found[-1].parts)
        if named or not found or (GIVEN.match(text) and not begun):
            found.append(_Draft(parts=[], line=number, kind="row"))
        if text:
            found[-1].parts.append(named[1] if named else text)
    return [draft for draft in found if any(STEP.match(part) for part in draft.parts)]


def _introduces(draft: _Draft) -> bool:
    return len(draft.parts) == 1 and draft.parts[0].rstrip("* ").endswith(":")


def _stands_alone(draft: _Draft) -> bool:
    text = draft.parts[0]
    return bool(words.leading_id(text)[0] or (OPENS.match(text) and scenario(text)))


def _flat(draft: _Draft) -> list[Entry]:
    """The entries of a draft: those below it where it only names them, else itself with all below it."""
    if draft.group:
        return [entry for child in draft.children for entry in _flat(child)]
    text = "\n".join(_said(part) for part in _gather(draft))
    own, rest = words.leading_id(text)
    said = words.plain(rest.lstrip(" |"))
    return [Entry(text=said, line=draft.line, id=own, number=draft.number)] if said else []


def _gather(draft: _Draft) -> list[str]:
    return [*draft.parts, *(f"- {part}" for child in draft.children for part in _gather(child))]


def _said(text: str) -> str:
    """*text* with its soft line breaks removed; code keeps its lines and its spaces."""
    return text if "```" in text else words.unwrapped(text)
