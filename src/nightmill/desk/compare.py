"""Two runs side by side: what they have in common, where they part, and what came of each from there."""

from __future__ import annotations

from collections.abc import Sequence

from nightmill import event as e
from nightmill.desk.door import Door
from nightmill.desk.nouns import Comparison, Side, Turn
from nightmill.desk.seen import told as read_told
from nightmill.errors import RepoError, SettingsError
from nightmill.kept import Run
from nightmill.line.record import SAID
from nightmill.report.nouns import Told
from nightmill.report.summary import summary

__all__ = ["compare"]

MOST_DIFF = 400_000
"""Characters of the difference of two trees."""


def compare(door: Door, one: str, other: str) -> Comparison:
    """The runs *one* and *other* beside each other.

    Raises:
        SettingsError: If one of them is not there, is that of a spec, or they are not of one project.
    """
    runs = (door.runs.get(one), door.runs.get(other))
    for run in runs:
        if run.kind != "task":
            raise SettingsError(f"{run.id} is the run of a spec", hint=f"compare runs of its tasks, as {run.id}-1")
    if runs[0].project != runs[1].project:
        raise SettingsError(f"{runs[0].id} and {runs[1].id} are of two projects", hint="compare runs of one")
    if runs[0].id == runs[1].id:
        raise SettingsError(f"{runs[0].id} is one run", hint="name another one, too")
    lines = [_line(door, run.id) for run in runs]
    shared = _shared(*lines)
    left, right = (_side(door, run, line[shared:]) for run, line in zip(runs, lines, strict=True))
    diff, amiss = _difference(door, runs[0].project, left, right)
    return Comparison(
        title=runs[0].title,
        project=runs[0].project,
        common=_turns(lines[0][:shared]),
        left=left,
        right=right,
        diff=diff,
        amiss=amiss,
    )


# What happened


def _line(door: Door, run: str) -> list[Told]:
    """What happened in *run* with what it goes on from, oldest first."""
    own = read_told(door.ledger.read(run=run))
    queued = next((each.event for each in own if isinstance(each.event, e.RunQueued)), None)
    if queued is None or not queued.origin:
        return own
    before, _, moment = queued.origin.partition("@")
    return [*_until(_line(door, before), before, moment), *own]


def _until(line: Sequence[Told], run: str, moment: str) -> list[Told]:
    """*line* up to *moment* of *run*: ROLE/TURN, the id of a question that was answered, or 0, before its first turn."""
    role, _, number = moment.rpartition("/")
    for at, each in enumerate(line):
        told = each.event
        if told.run != run:
            continue
        if isinstance(told, e.TurnFinished) and (moment == "0" or (told.role, str(told.turn)) == (role, number)):
            return list(line[: at + (moment != "0")])
        if isinstance(told, e.QuestionDecided) and told.question == moment:
            return list(line[:at])
    return list(line)


def _shared(one: Sequence[Told], other: Sequence[Told]) -> int:
    """How many lines both begin with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left.seq != right.seq), min(len(one), len(other)))


def _turns(line: Sequence[Told]) -> tuple[Turn, ...]:
    calls = dict[tuple[str, int], list[tuple[str, bool]]]()
    explorers = {each.event.role for each in line if isinstance(each.event, e.ExplorerSent)}
    found = list[Turn]()
    for each in line:
        told = each.event
        if isinstance(told, e.ToolFinished):
            calls.setdefault((told.run, told.turn), []).append((f"{told.tool} {told.label}".strip(), told.ok))
        elif isinstance(told, e.TurnFinished) and told.role not in explorers:
            found.append(
                Turn(
                    run=told.run,
                    role=told.role,
                    number=told.turn,
                    said=told.said if len(told.said) < SAID else f"{told.said}…",
                    calls=tuple(calls.pop((told.run, told.turn), ())),
                    tokens=told.usage.get("input", 0) + told.usage.get("output", 0),
                    cost=told.cost,
                    seconds=told.seconds,
                )
            )
    return tuple(found)


def _side(door: Door, run: Run, line: Sequence[Told]) -> Side:
    turns = _turns(line)
    spent = [each.event for each in line if isinstance(each.event, e.TurnFinished)]
    costs = [each.cost for each in spent]
    seen = summary(read_told(door.ledger.read(run=run.id)), now=run.updated)
    kept = [each.event for each in line if isinstance(each.event, e.CommitMade | e.WorkPreserved)]
    queued = next(
        (each.event for each in line if isinstance(each.event, e.RunQueued) and each.event.run == run.id), None
    )
    return Side(
        run=run.id,
        state=run.state,
        why=run.why,
        reason=run.reason,
        origin=queued.origin if queued else "",
        turns=turns,
        calls=sum(len(each.calls) for each in turns),
        tokens=sum(each.usage.get("input", 0) + each.usage.get("output", 0) for each in spent),
        cost=sum(cost or 0.0 for cost in costs),
        priced=None not in costs,
        seconds=sum(each.seconds for each in spent),
        said=tuple(_said(each.event) for each in line if isinstance(each.event, e.PastEdited | e.WordSaid)),
        checks=tuple((each.check, each.passed) for each in seen.checks),
        findings=tuple(
            f"{each.role}: {found.get('severity', '')} {found.get('title', '')}"
            for each in seen.reviews
            for found in each.findings
        ),
        pull_request=run.pull_request,
        commit=kept[-1].commit if kept else "",
    )


def _said(told: e.PastEdited | e.WordSaid) -> str:
    if isinstance(told, e.WordSaid):
        return f"{told.by} said: {' '.join(told.text.split())}"
    return f"{told.by} {told.did} the {told.kind} {told.what} at {told.at}"


def _difference(door: Door, project: str, left: Side, right: Side) -> tuple[str, str]:
    """(how the tree of *left* becomes that of *right*, why that is not to be seen)."""
    if missing := [each.run for each in (left, right) if not each.commit]:
        return "", f"nothing of {' and '.join(missing)} has left its sandbox yet"
    try:
        diff: str = door.hidden.patch(door.hub(project).diff(left.commit, right.commit).text)
    except RepoError as error:
        return "", f"the repository does not have both: {error.message}"
    if len(diff) > MOST_DIFF:
        return diff[:MOST_DIFF].rpartition("\n")[0] + "\n", "it is longer than what is shown"
    return diff, ""
