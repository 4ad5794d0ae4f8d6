"""What a run is given of those before it: the notes that still hold and have to do with its task, within a bound.

A note holds while every file that it is about is what it was. One that names no file holds for the same tree, or, if
it says what failed, for the same spec. It comes as material: one line each, between marks of its own, without signs and
marks by which the system speaks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from nightmill.line.brief import NOTHING
from nightmill.prompt import Prompt, render
from nightmill.store import notes
from nightmill.tool.base import cut

if TYPE_CHECKING:
    from nightmill.line.assignment import Assignment
    from nightmill.repo import Hub
    from nightmill.store.database import Database
    from nightmill.store.notes import Note

__all__ = ["Recalled", "plain", "recall", "told"]

LOOKED_AT = 500
MOST_BYTES = 5_000
"""Of all notes together: about 1,500 tokens at most."""
MOST_EACH = 700
MOST_OF_ONE_RUN = 8
MOST_PATHS = 500
"""Paths that are looked up one by one; with more, the whole tree is listed."""
FAILED = {"failed_approach", "failed_proof", "stopped"}
SAID = {
    "discovery": "Found out",
    "failed_approach": "Tried, and failed",
    "report": "An explorer's report",
    "failed_proof": "Did not pass its checks",
    "stopped": "How a run ended",
}
SAME_SPEC, FOOTPRINT, WORDS = 4.0, 2.0, 3.0
"""What makes a note worth more: the same spec, a file of the footprint, and words of the task at most."""
LEAST_WORDS = 3
"""Words in common with the task, without which a note about other files has nothing to do with it."""
WORD = re.compile(r"[A-Z]?[a-z][a-z0-9]{2,}|[A-Z]{3,}")
COMMON = frozenset({"and", "are", "for", "has", "its", "must", "not", "one", "that", "the", "this", "with", "without"})
SIGN = re.compile(r"\[\s*system\b[^\]]{0,40}\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What was recalled: *prompt* as the agent is given it; *stale* counts notes whose files have changed."""

    prompt: Prompt = NOTHING
    used: tuple[Note, ...] = ()
    stale: int = 0


def recall(assignment: Assignment, *, run: str, database: Database, hub: Hub) -> Recalled:
    """What *run* is given of the notes of its project."""
    found = [note for note in notes.newest(database, assignment.project.id, most=LOOKED_AT) if note.run != run]
    if not found:
        return Recalled()
    holding = list(_holding(found, assignment, hub))
    chosen = list(_chosen(holding, assignment))
    if not chosen:
        return Recalled(stale=len(found) - len(holding))
    lines = "\n".join(line for _, line in chosen)
    return Recalled(
        prompt=render("agent/earlier", notes=lines),
        used=tuple(note for note, _ in chosen),
        stale=len(found) - len(holding),
    )


def told(recalled: Recalled) -> dict[str, Any]:
    """*recalled* as the ledger is told of it, {} if there is nothing to tell."""
    if not recalled.used and not recalled.stale:
        return {}
    used = [{"id": note.id, "kind": note.kind} for note in recalled.used]
    return {"notes": used, "stale": recalled.stale, "size": len(recalled.prompt.text.encode())}


def plain(text: str) -> str:
    """*text* as one line that speaks for nobody: without the system's sign and without marks."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return SIGN.sub("(a sign that is not the system's)", line).replace(
        "<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"
    )


def _holding(found: Sequence[Note], assignment: Assignment, hub: Hub) -> Iterator[Note]:
    commit, tree = assignment.base_commit, hub.tree(assignment.base_commit)
    paths = sorted({path for note in found for path in note.files})
    listed = hub.files(commit, within=paths if len(paths) <= MOST_PATHS else ()) if paths else []
    blobs = {file.path: file.sha for file in listed}
    for note in found:
        if note.files:
            holds = all(blobs.get(path) == blob for path, blob in note.files.items())
        else:
            holds = note.tree == tree or (note.kind in FAILED and note.spec == assignment.spec.digest)
        if holds:
            yield note


def _chosen(holding: Sequence[Note], assignment: Assignment) -> Iterator[tuple[Note, str]]:
    """The notes worth most, each with its line, until the bound is reached."""
    task = assignment.task
    footprint = task.footprint.paths if task else ()
    about = _words(f"{task.title} {task.instruction} {assignment.spec.title}" if task else assignment.spec.title)
    scored = [(score, note) for note in holding if (score := _score(note, assignment.spec.digest, footprint, about))]
    left, seen, runs = MOST_BYTES, set(), Counter[str]()
    for _, note in sorted(scored, key=lambda each: -each[0]):  # stable: newest first among equals
        line = _line(note, assignment)
        if note.text in seen or runs[note.run] >= MOST_OF_ONE_RUN or len(line.encode()) > left:
            continue
        seen.add(note.text)
        runs[note.run] += 1
        left -= len(line.encode()) + 1
        yield note, line


def _score(note: Note, spec: str, footprint: Iterable[str], about: set[str]) -> float:
    same = note.spec == spec
    bare = [path.strip("/") for path in footprint]
    near = any(fnmatch(path, each) or path.startswith(f"{each}/") for path in note.files for each in bare)
    common = len(_words(note.text) & about)
    if not same and not near and common < LEAST_WORDS:
        return 0.0
    return SAME_SPEC * same + FOOTPRINT * near + min(WORDS, common / 2) + (note.kind in FAILED)


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)} - COMMON


def _line(note: Note, assignment: Assignment) -> str:
    same = ", same spec" if note.spec == assignment.spec.digest else ""
    return f"- {SAID.get(note.kind, note.kind)} (run {note.run}{same}): {_short(plain(note.text))}"


def _short(text: str) -> str:
    """*text*, which is one line, with its middle left out if it is long."""
    return " ".join(cut(text, most=MOST_EACH).split())
