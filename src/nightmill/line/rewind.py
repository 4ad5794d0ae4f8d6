"""Going on from an earlier moment of a run, as a run of its own, with what a person edits there; the old one stays."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nightmill import event
from nightmill.errors import SettingsError
from nightmill.kept import Back
from nightmill.line.assignment import Assignment, Edit, Origin, queued, read, write
from nightmill.line.brief import role as role_of
from nightmill.line.fitting import must_fit
from nightmill.line.moments import base_of
from nightmill.line.origin import held
from nightmill.line.record import read_record, write_record
from nightmill.model import ToolResult
from nightmill.policy import covers

if TYPE_CHECKING:
    from nightmill.agent import TurnRecord
    from nightmill.kept import Run
    from nightmill.store.blobs import Blobs
    from nightmill.store.ledger import Ledger
    from nightmill.store.questions import Questions
    from nightmill.store.runs import Runs

__all__ = ["MOST_FILES", "MOST_TEXT", "Kept", "again", "amiss", "at", "closed", "newest"]

MOST_FILES, MOST_BYTES, MOST_TEXT, LONGEST_PATH = 50, 1 << 20, 100_000, 500
NEW = "start a new run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where runs and what they left are."""

    home: Path
    runs: Runs
    ledger: Ledger
    blobs: Blobs
    questions: Questions


def again(kept: Kept, run: Run, back: Back, *, name: str, by: str) -> Run:
    """Put the new run *name* in the queue that goes on from *run* as *by* wants it.

    Raises:
        SettingsError: If it cannot: what of it can be gone on from is said.
    """
    assignment, told = _can_be(kept, run)
    moment = _answered(kept, run, told, back) if back.turn is None else _turn(kept, run, told, back)
    found = _edited(kept, assignment, moment, back, by=by)
    base = base_of(kept.ledger, run.id, home=kept.home, project=assignment.project.id)
    made = replace(assignment, origin=found, parent="", root="", by=by)
    asked = replace(queued(made, run=name, title=run.title), origin=f"{run.id}@{found.moment}")
    edits = [
        event.PastEdited(run=name, kind=each.kind, what=each.what, at=each.at, body=each.body, by=by)
        for each in found.own
    ]
    folder, body = kept.home / "runs" / run.id, kept.blobs.put(write(made))
    with held(folder):  # from here on it is known that the snapshot is needed
        if not (folder / "sandbox" / "packs" / found.snapshot).exists():
            raise SettingsError(f"the snapshot of {run.id} at {found.moment} was deleted", hint=NEW)
        must_fit(found, base, directory=folder / "sandbox", shelf=kept.home / "layers")
        forked = event.RunForked(run="", before=run.id, child=name, at=found.moment, by=by)
        return kept.runs.create(asked, assignment=body, said=back.instruction, by=by, also=(*edits, forked))


def at(kept: Kept, run: Run, *, role: str, turn: int) -> tuple[Assignment, Origin]:
    """What *run* was to do, and its moment after *turn* of *role*; 0: before the first.

    Raises:
        SettingsError: If it cannot be gone on from there: where it can be is said.
    """
    assignment, told = _can_be(kept, run)
    return assignment, _turn(kept, run, told, Back(turn=turn, role=role))


def _can_be(kept: Kept, run: Run) -> tuple[Assignment, Sequence[event.Event]]:
    """What *run* was to do and what was told of it. Raises `SettingsError` if nothing of it can be gone on from."""
    if run.kind != "task":
        hint = f"nightmill rewind {run.id}-1 --to TURN"
        raise SettingsError(f"{run.id} is the run of a spec: its tasks have turns of their own", hint=hint)
    told = [entry.event() for entry in kept.ledger.read(run=run.id)]
    if not any(isinstance(each, event.WorkspacePrepared) for each in told):
        raise SettingsError(f"{run.id} was never prepared", hint="wait until it is")
    assignment = read(kept.blobs.get(run.assignment))
    for amiss, what in (
        (assignment.agent, "an external agent did it, and remembers by itself"),
        (assignment.values, "it is an item of a map"),
        (assignment.trial, "it is a trial"),
    ):
        if amiss:
            raise SettingsError(f"{run.id} cannot be gone on from: {what}", hint=NEW)
    return assignment, told


def newest(kept: Kept, run: Run) -> tuple[str, int]:
    """The role and the number of the newest turn of *run* that can be gone on from.

    Raises:
        SettingsError: If there is none.
    """
    turns = _turns(kept, [entry.event() for entry in kept.ledger.read(run=run.id)])
    if not turns:
        raise SettingsError(f"no turn of {run.id} can be gone on from", hint=NEW)
    return turns[-1].role, turns[-1].turn


# The moment


def _turn(kept: Kept, run: Run, told: Sequence[event.Event], back: Back) -> Origin:
    """The moment after a turn of an agent, or before the first.

    Raises:
        SettingsError: If there is none; which there are is said.
    """
    if back.answers:
        raise SettingsError("an answer is edited where it was given", hint="give either a turn or an answer")
    before = read(kept.blobs.get(run.assignment)).origin
    if back.turn == 0:
        prepared = next(each for each in told if isinstance(each, event.WorkspacePrepared))
        return Origin(run=run.id, snapshot=prepared.snapshot, before=before)
    turns = _turns(kept, told)
    fit = [each for each in turns if each.turn == back.turn and back.role in {"", each.role}]
    if len(fit) != 1:
        which = f"turns that can be gone on from: {_listed(turns)}" if turns else "no turn of it can be gone on from"
        why = "of several roles: name one" if fit else "there is no such turn that goes on"
        named = f"{back.role} " if back.role else ""
        raise SettingsError(f"turn {named}{back.turn} of {run.id}: {why}", hint=which)
    found = fit[0]
    return Origin(
        run=run.id, turn=found.turn, role=found.role, record=found.record, snapshot=found.snapshot, before=before
    )


def _turns(kept: Kept, told: Sequence[event.Event]) -> list[event.TurnFinished]:
    """Turns of agents after which they went on, before anything left the run."""
    explorers = {each.role for each in told if isinstance(each, event.ExplorerSent)}
    found: list[event.TurnFinished] = []
    for each in told:
        if isinstance(each, event.PullRequestOpened | event.TaskQueued):
            break
        if isinstance(each, event.TurnFinished) and each.record and each.role not in explorers:
            found.append(each)
    return [each for each in found if read_record(kept.blobs.get(each.record)).ending is None]


def _listed(turns: Sequence[event.TurnFinished]) -> str:
    numbers: dict[str, list[range]] = {}
    for each in turns:
        found = numbers.setdefault(each.role, [])
        if found and found[-1].stop == each.turn:
            found[-1] = range(found[-1].start, each.turn + 1)
        else:
            found.append(range(each.turn, each.turn + 1))
    return "; ".join(f"{role} {', '.join(map(_span, found))}" for role, found in numbers.items())


def _span(numbers: range) -> str:
    return str(numbers.start) if len(numbers) == 1 else f"{numbers.start} to {numbers.stop - 1}"


def _answered(kept: Kept, run: Run, told: Sequence[event.Event], back: Back) -> Origin:
    """The moment at which a person answered.

    Raises:
        SettingsError: If nobody answered that.
    """
    if len(back.answers) != 1 or back.files or back.gone or back.results:
        raise SettingsError(
            "it is not said where to go on from",
            hint="give a turn, or one answer and nothing else beside an instruction",
        )
    (name, text), snapshot = next(iter(back.answers.items())), ""
    before = read(kept.blobs.get(run.assignment)).origin
    asked = {each.question: each.step for each in told if isinstance(each, event.QuestionAsked)}
    for each in told:
        snapshot = getattr(each, "snapshot", "") or snapshot
        if isinstance(each, event.PullRequestOpened | event.TaskQueued):
            break
        if (
            isinstance(each, event.QuestionDecided)
            and each.state == "answered"
            and name
            in {
                each.question,
                asked.get(each.question),
            }
        ):
            found = kept.questions.get(each.question)
            _must_fit(text, found.options)
            return Origin(
                run=run.id,
                question=found.id,
                answer=text,
                created=found.created,
                decided=found.decided,
                snapshot=snapshot,
                before=before,
            )
    steps = ", ".join(
        asked.get(each.question, "")
        for each in told
        if isinstance(each, event.QuestionDecided) and each.state == "answered"
    )
    hint = f"answered were: {steps}" if steps else "no question of it was answered"
    raise SettingsError(f"{run.id} has no answer to {name!r} before its pull request", hint=hint)


def _must_fit(text: str, options: Sequence[str]) -> None:
    if not text.strip() or len(text) > MOST_TEXT:
        raise SettingsError("an answer has one to 100,000 characters", hint="say what is to be answered")
    if options and text not in options:
        raise SettingsError(f"{text!r} is none of the answers there are", hint=f"one of: {', '.join(options)}")


# The edits


def _edited(kept: Kept, assignment: Assignment, moment: Origin, back: Back, *, by: str) -> Origin:
    inherited = moment.before.edits if moment.before else ()
    own: list[Edit] = []
    if moment.answer is not None:
        own.append(_edit(kept, "answer", moment.question, moment.answer.encode(), moment, by))
    if back.files or back.gone:
        _must_be_allowed(assignment, moment, back)
        own += [_edit(kept, "file", path, body, moment, by) for path, body in back.files.items()]
        own += [Edit(kind="file", what=path, body="", by=by, run=moment.run, at=moment.moment) for path in back.gone]
    edited = ""
    if back.results:
        if not moment.record:
            raise SettingsError("no tool was called before the first turn", hint="name the turn of the call")
        record, ids = _with_results(read_record(kept.blobs.get(moment.record)), back.results)
        edited = kept.blobs.put(write_record(record))
        own += [_edit(kept, "result", call, text.encode(), moment, by) for call, text in ids.items()]
    return replace(moment, edited=edited, own=tuple(own), edits=(*inherited, *own))


def _edit(
    kept: Kept, kind: Literal["file", "result", "answer"], what: str, body: bytes, moment: Origin, by: str
) -> Edit:
    blob = kept.blobs.put(body)
    if kept.blobs.get(blob) != body:
        raise SettingsError(
            f"what is put in place of {what!r} holds a secret", hint="nothing that is kept may hold one"
        )
    return Edit(kind=kind, what=what, body=blob, by=by, run=moment.run, at=moment.moment)


def _with_results(record: TurnRecord, wanted: Mapping[str, str]) -> tuple[TurnRecord, dict[str, str]]:
    """*record* with what its calls are *wanted* to have given, and that by their ids.

    Raises:
        SettingsError: If it made no such call.
    """
    calls = [each.id for each in record.reply.calls]
    names = {str(number): call for number, call in enumerate(calls, 1)} | {call: call for call in calls}
    texts: dict[str, str] = {}
    for name, text in wanted.items():
        if name not in names:
            known = ", ".join(f"{at} ({each.name})" for at, each in enumerate(record.reply.calls, 1)) or "none"
            raise SettingsError(f"turn {record.turn} made no call {name!r}", hint=f"its calls: {known}")
        if len(text) > MOST_TEXT:
            raise SettingsError(f"a result has at most {MOST_TEXT:,} characters", hint="give the part that matters")
        texts[names[name]] = text
    messages = tuple(
        replace(
            message,
            parts=tuple(
                replace(part, text=texts[part.call], error=False, ref="")
                if isinstance(part, ToolResult) and part.call in texts
                else part
                for part in message.parts
            ),
        )
        for message in record.messages
    )
    return replace(record, messages=messages), texts


def closed(assignment: Assignment, moment: Origin) -> str:
    """Why no file of the checkout may be edited at *moment*, "" if they may be."""
    if not moment.role:
        return ""
    name = moment.role.partition("@")[0]
    writes = role_of(name, assignment).writes
    return (
        ""
        if writes == "code"
        else f"the {name} judges what others wrote, so no file is edited in its name: it writes {writes}"
    )


def amiss(assignment: Assignment, path: str) -> str:
    """Why the file *path* may not be edited at any moment, "" if it may be."""
    if not _is_inside(path):
        return f"{path!r} is no file of the checkout"
    rules = [rule for rule in assignment.policy.rules if rule.change == "deny"]
    barred = [pattern for pattern in assignment.project.protected if covers(pattern, path)]
    barred += [rule.source for rule in rules if any(covers(pattern, path) for pattern in rule.paths or ("**",))]
    return f"{path!r} is protected by {barred[0]}" if barred else ""


def _must_be_allowed(assignment: Assignment, moment: Origin, back: Back) -> None:
    """Raise `SettingsError` if the checkout may not be changed at *moment* as *back* wants it."""
    if why := closed(assignment, moment):
        raise SettingsError(why, hint="go on from a turn of who writes code")
    paths = [*back.files, *back.gone]
    if twice := next((path for path in paths if paths.count(path) > 1), ""):
        raise SettingsError(f"{twice!r} cannot be edited twice, or edited and deleted", hint="do one of both")
    if len(paths) > MOST_FILES:
        raise SettingsError(f"{len(paths)} files are more than the {MOST_FILES} that can be edited", hint="edit fewer")
    for path in paths:
        if why := amiss(assignment, path):
            raise SettingsError(
                why, hint="name another from the root of the repository, or change it in the repository itself"
            )
        if len(back.files.get(path, b"")) > MOST_BYTES:
            raise SettingsError(f"{path!r} has more than {MOST_BYTES >> 20} MiB", hint="commit it to the base branch")


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return (
        0 < len(path) <= LONGEST_PATH
        and path.isprintable()
        and posixpath.normpath(path) == path
        and not path.startswith("/")
        and ".." not in parts
        and path != "."
        and ".git" not in {part.casefold() for part in parts}
    )
