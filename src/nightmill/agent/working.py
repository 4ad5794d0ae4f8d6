"""The working state: what an agent must not lose with its old turns, kept by code from what it did and noted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nightmill.agent.nouns import Active, AgentState, Brief, Note, Ran, Todo, TurnRecord, Working
from nightmill.agent.outcome import passed, verifies
from nightmill.agent.past import lines
from nightmill.model import Message
from nightmill.tool.base import one_line

__all__ = ["MOST_NOTES", "after", "fits", "fold", "known", "ran", "see", "words"]

MOST_FILES = 40
MOST_NOTES = 40
"""Of one kind: whoever wants to write down more merges some."""
NOTED = 0.3
"""Characters of all notes of one kind, as a share of the tokens from which a request is compacted: a tenth of it."""
MOST_CHECKS = 8
MOST_COMMAND = 120
"""Characters of a check's command as it is told: the agent wrote it, and reads it at every turn."""
MOST_PAST = 60
MARKS = {"pending": "[ ]", "doing": "[>]", "done": "[x]"}


def after(working: Working, record: TurnRecord) -> Working:
    """*working* after the turn of *record*."""
    noted = working
    for note in record.notes:
        noted = _note(noted, note)
    edits, touched = len(record.edited), noted.touched + len(record.edited)
    verified = [each for each in record.ran if each.check]
    latest = {each.command: each for each in (*noted.checks, *verified)}
    checks = tuple(sorted(latest.values(), key=lambda each: each.turn))[-MOST_CHECKS:]
    good = bool(verified) and all(each.ok for each in verified)
    return replace(
        noted,
        files=_files(noted.files, record),
        checks=checks,
        edits=record.late if good else noted.edits + edits,
        touched=touched,
    )


def fits(brief: Brief, working: Working, kind: str, text: str, replaces: Sequence[int]) -> bool:
    """Whether there is room for a note: none is ever left out of a request, so that too many would be all of it."""
    if kind == "next":
        return True
    before = working.discoveries if kind == "discovery" else working.failed
    kept = sum(len(each) for number, each in enumerate(before, 1) if number not in replaces)
    return kept + len(text) <= NOTED * brief.compact_at


def known(before: dict[str, str], record: TurnRecord) -> dict[str, str]:
    """What is *known* of files after *record*."""
    if not record.seen:
        return before
    found = dict(before)
    see(found, record.seen)
    return found


def see(known: dict[str, str], seen: Iterable[tuple[str, str]]) -> None:
    """Note in what is *known* of files what was *seen*; what was seen last is last, also of what was known before."""
    for path, digest in seen:
        known.pop(path, None)
        known[path] = digest


def fold(working: Working, messages: Sequence[Message], *, first: int) -> Working:
    """*working* with a line for each turn of *messages*, the first of which is number *first*."""
    past = (*working.past, *lines(messages, first=first))
    if len(past) > MOST_PAST:
        left_out = len(past) - MOST_PAST
        past = (f"(… {left_out} earlier turns …)", *past[left_out + 1 :]) if left_out else past
    return replace(working, past=past)


def words(brief: Brief, state: AgentState) -> str:
    """The working state as the agent reads it, most needed first; sections with nothing in them are left out."""
    working = state.working
    sections = (
        ("Tried, and failed: do not do it again", _numbered(working.failed)),
        ("What people said", "\n\n".join(working.told)),
        ("Why it was sent back last", working.returned),
        ("Found out", _numbered(working.discoveries)),
        ("Todo", todo(state.todo)),
        ("Verification", verification(brief, working)),
        ("Files", "\n".join(_file(each) for each in working.files)),
        ("What was done", "\n".join(working.past)),
        ("Next, in your own words", working.next),
    )
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections if text)


def todo(items: Iterable[Todo]) -> str:
    """The list, a line each."""
    return "\n".join(f"{MARKS[item.state]} {' '.join(item.text.split())}" for item in items)


def verification(brief: Brief, working: Working) -> str:
    """What is known to hold, and what was changed since."""
    seen = "\n".join(
        f"- `{one_line(each.command, most=MOST_COMMAND)}`: {'passed' if each.ok else 'failed'} at turn {each.turn}"
        for each in working.checks
    )
    if not working.touched:
        return seen
    since = f"{_count(working.edits)} since a check last passed" if working.edits else "no edits since"
    if working.checks:
        return f"{seen}\n- {since}"
    wanted = f" (such as `{brief.checks[0]}`)" if brief.checks else ""
    when = "since it was sent back" if working.returned else "yet"
    return f"- nothing was verified {when}{wanted}; {_count(working.touched)}"


def _count(edits: int) -> str:
    return f"{edits} edit{'' if edits == 1 else 's'}"


def _note(working: Working, note: Note) -> Working:
    text = " ".join(note.text.split())
    if note.kind == "next":
        return replace(working, next=text)
    before = working.discoveries if note.kind == "discovery" else working.failed
    kept = tuple("" if number in note.replaces else each for number, each in enumerate(before, 1))
    kept = kept if text in kept else (*kept, text)
    return replace(working, discoveries=kept) if note.kind == "discovery" else replace(working, failed=kept)


def _files(files: tuple[Active, ...], record: TurnRecord) -> tuple[Active, ...]:
    by_path = {each.path: each for each in files}
    edited = {path.removeprefix("/work/repo/") for path in record.edited}
    for path, digest in record.seen:
        name = path.removeprefix("/work/repo/")
        before = by_path.pop(name, None)
        turn = record.turn if name in edited else before.edited if before else 0
        by_path[name] = Active(path=name, digest=digest, turn=record.turn, edited=turn)
    while len(by_path) > MOST_FILES:  # what was only read goes first
        gone = next((path for path, each in by_path.items() if not each.edited), next(iter(by_path)))
        del by_path[gone]
    return tuple(by_path.values())


def _file(active: Active) -> str:
    edited = f", edited at turn {active.edited}" if active.edited else ""
    path = active.path if active.path.isprintable() else repr(active.path)
    return f"- {path} (seen at turn {active.turn}{edited})"


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1) if text)


def ran(outcomes: Iterable[tuple[str, bool, str]], *, turn: int, checks: Sequence[str]) -> tuple[Ran, ...]:
    """The commands of a turn: (command, whether it ended well, what it printed)."""
    return tuple(_ran(command, ok, output, turn, checks) for command, ok, output in outcomes)


def _ran(command: str, ok: bool, output: str, turn: int, checks: Sequence[str]) -> Ran:  # noqa: FBT001 - what it ended with
    verdict = passed(command, ok, output, checks) if verifies(command, checks) else None
    told = " ".join(command.split())[:300]
    return Ran(command=told, ok=ok if verdict is None else verdict, turn=turn, check=verdict is not None)
