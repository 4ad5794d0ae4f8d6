"""The moments of a run that its sandbox can be forked at: each turn that was recorded with a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.errors import SettingsError
from nightmill.estate.environment import Base

if TYPE_CHECKING:
    from nightmill.store.ledger import Ledger

__all__ = ["Moment", "base_of", "moments", "pick"]

SHORTEST = 4
"""Characters of a snapshot's id that have to be given; fewer digits are the number of a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The workspace after *turn*; 0: as it was prepared."""

    turn: int
    snapshot: str


def moments(ledger: Ledger, run: str) -> tuple[Moment, ...]:
    """Every moment of *run*, oldest first. A turn that changed nothing has the snapshot before it."""
    names = (event.WorkspacePrepared.name, event.TurnFinished.name)
    told = (entry.event() for entry in ledger.read(run=run, names=names))
    return tuple(
        Moment(turn=getattr(each, "turn", 0), snapshot=each.snapshot)
        for each in told
        if isinstance(each, event.WorkspacePrepared | event.TurnFinished) and each.snapshot
    )


def pick(found: tuple[Moment, ...], wanted: str, *, run: str) -> Moment:
    """The moment of *run* that *wanted* names: a turn's number, or the beginning of a snapshot's id; "": the newest.

    Raises:
        SettingsError: If there is none, or more than one.
    """
    if not found:
        raise SettingsError(f"run {run!r} has no snapshot", hint="only a task's run that was prepared has a sandbox")
    if not wanted:
        return found[-1]
    if len(wanted) < SHORTEST and wanted.isdigit():
        fitting = [each for each in found if each.turn == int(wanted)]
    else:
        fitting = [each for each in found if len(wanted) >= SHORTEST and each.snapshot.startswith(wanted)]
    if len({each.snapshot for each in fitting}) != 1:
        turns = f"its turns are 0 to {found[-1].turn}"
        why = "several snapshots begin like that" if fitting else "there is no such snapshot"
        raise SettingsError(f"run {run!r} at {wanted!r}: {why}", hint=f"{turns}; or give {SHORTEST} digits of an id")
    return fitting[0]


def base_of(ledger: Ledger, run: str, *, home: Path, project: str) -> Base:
    """The base that *run* stands on.

    Raises:
        SettingsError: If it was never prepared, or the base was deleted since.
    """
    entries = ledger.read(run=run, names=(event.WorkspacePrepared.name,))
    told = entries[-1].event() if entries else None
    if not isinstance(told, event.WorkspacePrepared):
        raise SettingsError(f"run {run!r} was never prepared", hint="wait until it is")
    layer = home / "projects" / project / "bases" / told.environment / "layer"
    if not layer.is_dir():
        raise SettingsError(f"the environment of run {run!r} was deleted: {str(layer)!r}", hint="start a new run")
    return Base(layers=(layer,), hash=told.environment, commit=told.commit)
