"""Why each hunk of a diff is there: the turns that wrote its lines, what they were answering, the criteria that it serves.

Lines are traced to the edits that brought them, by their text: the latest edit of that file that added (or took away)
this line, or the part of it that it replaced, has written it. What a command wrote cannot be traced so, and is said to be
untraced.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from nightmill import event as e
from nightmill.agent.nouns import TurnRecord
from nightmill.errors import NightmillError, ToolError
from nightmill.model import Thinking, ToolCall, ToolResult
from nightmill.report.calls import arguments
from nightmill.report.diff import File, Line, between
from nightmill.report.nouns import Blob, turn_id
from nightmill.report.text import one_line
from nightmill.review import Evidence
from nightmill.tool.patch import parse as parse_patch

__all__ = ["Serves", "Why", "Writer", "reasons", "told_once"]

WORKSPACE = "/work/repo/"
TELLING = 3
"""Letters and digits from which on a line says where it comes from: a lone bracket stands everywhere."""
NEAR = 3
"""Lines around a hunk within which a finding is about it."""
WRITERS, ANSWERS, SAID = 4, 4, 400

letters = re.compile(r"\w")
title = re.compile(r"\btitle: (.+?)(?=\s+\w+: |\s+- id: |$)")
"""What a finding is called in the words that an agent is sent back with."""


class Writer(NamedTuple):
    """A turn that wrote *lines* lines of a hunk: where it is on the run's page, and what it said that it was about."""

    id: str
    number: int
    role: str
    intent: str
    lines: int


class Serves(NamedTuple):
    """A criterion that a hunk serves, and *how* that is known."""

    criterion: str
    text: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why one hunk is there.

    Attributes:
        writers: Of its lines, the one who wrote most of them first.
        serves: Criteria.
        answers: Findings, and reasons for which work was sent back, that its writers had before them.
        untraced: Lines that no edit of a turn holds.
    """

    writers: tuple[Writer, ...]
    serves: tuple[Serves, ...]
    answers: tuple[str, ...]
    untraced: int


class _Lines(NamedTuple):
    """Lines of an edit; its outer ones may be *parts* of lines of the file."""

    whole: set[str]
    parts: set[str]

    def hold(self, line: str) -> bool:
        """Whether *line* is one of them."""
        return line in self.whole or any(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", line) for part in self.parts)


class _Objection(NamedTuple):
    """What was said against the work; *path* "": all of it."""

    path: str
    line: int
    said: str


@dataclass(frozen=True, slots=True)
class _Act:
    """What one turn edited: by path and kind, the lines that it added ("add") and those that it took away ("cut")."""

    writer: Writer
    edits: dict[tuple[str, str], _Lines]
    before: tuple[_Objection, ...]


def reasons(
    told: Sequence[e.Event], files: Sequence[File], *, blob: Blob, evidence: Sequence[Evidence], lanes: Sequence[str]
) -> list[tuple[Why, ...]]:
    """For each of *files* one reason for each of its hunks; *lanes* are the roles in the order of the run's page."""
    acts = list(_acts(told, blob, lanes))
    return [tuple(_why(file.path, hunk, acts, evidence) for hunk in _hunks(file.lines)) for file in files]


def told_once(why: Why, told: set[str]) -> Why:
    """*why* without the words that stand in *told* already, to which it adds its own: most hunks have the same cause."""
    writers = tuple(each._replace(intent="") if each.id in told else each for each in why.writers)
    answers = tuple(each for each in why.answers if each not in told)
    told.update(each.id for each in why.writers)
    told.update(answers)
    return replace(why, writers=writers, answers=answers)


def _hunks(lines: Sequence[Line]) -> list[list[Line]]:
    found: list[list[Line]] = []
    for line in lines:
        if line.kind == "hunk":
            found.append([])
        elif found:
            found[-1].append(line)
    return found


def _why(path: str, hunk: Sequence[Line], acts: Sequence[_Act], evidence: Sequence[Evidence]) -> Why:
    changed = [line for line in hunk if line.kind in {"add", "cut"}]
    changed = [line for line in changed if len(letters.findall(line.text)) >= TELLING] or changed
    found = Counter[int]()
    for line in changed:
        key = (path, line.kind)
        wrote = (
            at for at in reversed(range(len(acts))) if key in acts[at].edits and acts[at].edits[key].hold(line.text)
        )
        if (at := next(wrote, None)) is not None:
            found[at] += 1
    ordered = [at for at, _ in found.most_common(WRITERS)]
    objections = [each for at in sorted(ordered) for each in acts[at].before]
    lines = [number for line in hunk for number in (line.old, line.new) if number]
    return Why(
        writers=tuple(acts[at].writer._replace(lines=found[at]) for at in ordered),
        serves=tuple(_serves(path, hunk, [acts[at].writer for at in ordered], evidence)),
        answers=tuple(dict.fromkeys(each.said for each in objections if _is_about(each, path, lines)))[:ANSWERS],
        untraced=len(changed) - found.total(),
    )


def _is_about(objection: _Objection, path: str, lines: Sequence[int]) -> bool:
    if not objection.path:
        return True
    if objection.path != path:
        return False
    return not objection.line or not lines or min(lines) - NEAR <= objection.line <= max(lines) + NEAR


def _serves(
    path: str, hunk: Sequence[Line], writers: Sequence[Writer], evidence: Sequence[Evidence]
) -> Iterator[Serves]:
    """What is shown by a test or a quotation in *hunk*; else what a writer of it named."""
    text = "\n".join(line.text for line in hunk if line.kind != "cut")
    new = [line.new for line in hunk if line.kind == "add"]
    for each in evidence:
        if test := next((by for by in each.by if _holds(by, path, text)), ""):
            yield Serves(each.criterion, each.text, f"{test.rpartition('::')[2]} shows it")
        elif any(quote.path == path and any(quote.first <= at <= quote.last for at in new) for quote in each.quotes):
            yield Serves(each.criterion, each.text, "quoted for it")
        elif any(re.search(rf"\b{re.escape(each.criterion)}\b", writer.intent) for writer in writers):
            yield Serves(each.criterion, each.text, "named by the turn")


def _holds(test: str, path: str, text: str) -> bool:
    """Whether *text* of the file *path* holds the test "path::name[parameters]"."""
    place, _, name = test.partition("::")
    last = name.rpartition("::")[2].partition("[")[0]
    return bool(last) and place == path and re.search(rf"\b{re.escape(last)}\b", text) is not None


def _acts(told: Sequence[e.Event], blob: Blob, lanes: Sequence[str]) -> Iterator[_Act]:
    objections: list[_Objection] = []
    answered = False
    for event in told:
        if isinstance(event, e.ReviewGiven | e.SentBack):
            # A new round of objections begins after somebody worked on those of the round before.
            objections, answered = ([] if answered else objections), False
            objections += _objections(event)
        elif isinstance(event, e.TurnFinished) and (record := _record(event, blob)) and (edits := _edits(record)):
            answered = bool(objections)
            yield _Act(_writer(event, record, lanes), edits, tuple(objections))


def _objections(event: e.ReviewGiven | e.SentBack) -> Iterator[_Objection]:
    if isinstance(event, e.SentBack):
        titles = "; ".join(title.findall(event.reason))
        yield _Objection("", 0, f"sent back: {one_line(titles or event.reason, most=SAID)}")
        return
    for found in event.findings:
        where, line = str(found.get("path") or ""), found.get("line")
        said = f"{event.role}: {one_line(str(found.get('title') or ''), most=SAID)}"
        yield _Objection(where, line if isinstance(line, int) else 0, said)


def _record(event: e.TurnFinished, blob: Blob) -> TurnRecord | None:
    """What the turn left, None if it is not there or cannot be read: then its lines are untraced."""
    try:
        return _adapter().validate_json(blob(event.record))
    except (NightmillError, KeyError, OSError, ValidationError):
        return None


@cache
def _adapter() -> TypeAdapter[TurnRecord]:
    return TypeAdapter(TurnRecord)


def _writer(event: e.TurnFinished, record: TurnRecord, lanes: Sequence[str]) -> Writer:
    lane = lanes.index(event.role) if event.role in lanes else len(lanes)
    thought = " ".join(part.text for part in record.reply.parts if isinstance(part, Thinking))
    intent = one_line(record.reply.text or thought, most=SAID)
    return Writer(turn_id("", lane, event.turn), event.turn, event.role, intent, 0)


def _edits(record: TurnRecord) -> dict[tuple[str, str], _Lines]:
    results = [part for message in record.messages for part in message.parts if isinstance(part, ToolResult)]
    failed = {part.call for part in results if part.error}
    found: dict[tuple[str, str], _Lines] = {}
    for part in record.reply.parts:
        if isinstance(part, ToolCall) and part.id not in failed:
            for path, old, new in _changes(part):
                _add(found, path, old, new, parts=part.name == "edit_file")
    return found


def _add(found: dict[tuple[str, str], _Lines], path: str, old: str, new: str, *, parts: bool) -> None:
    for line in between(old, new):
        if line.kind in {"add", "cut"}:
            lines = found.setdefault((path, line.kind), _Lines(set(), set()))
            lines.whole.add(line.text)
            ends = (new if line.kind == "add" else old).split("\n")
            if parts and line.text in {ends[0], ends[-1]} and len(line.text.strip()) >= TELLING:
                lines.parts.add(line.text)


def _changes(call: ToolCall) -> Iterator[tuple[str, str, str]]:
    """What *call* did: the path, what stood there, and what stands there now, for each place."""
    given = arguments(call) or {}
    path = _path(given.get("path"))
    if call.name == "edit_file" and isinstance(given.get("edits"), list):
        for each in given["edits"]:
            if isinstance(each, dict):
                yield path, str(each.get("old", "")), str(each.get("new", ""))
    elif call.name == "write_file":
        yield path, "", str(given.get("content", ""))
    elif call.name == "apply_patch":
        yield from _patched(str(given.get("patch", "")))


def _patched(patch: str) -> Iterator[tuple[str, str, str]]:
    try:
        operations = parse_patch(patch)
    except ToolError:
        return
    for each in operations:
        path = _path(each.target or each.path)
        if each.content:
            yield path, "", "\n".join(each.content)
        for hunk in each.hunks:
            yield path, "\n".join(hunk.old), "\n".join(hunk.new)


def _path(said: Any) -> str:
    return str(said or "").removeprefix(WORKSPACE).removeprefix("./")
