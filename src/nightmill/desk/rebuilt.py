"""What a model was sent in a run, rebuilt where its store is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nightmill.desk.door import Door
from nightmill.desk.requested import Portion, Requested, Sent
from nightmill.errors import EngineError, SettingsError
from nightmill.kept import Run

if TYPE_CHECKING:
    from nightmill.line.replay import Rebuilt

__all__ = ["request", "requested"]

MOST = 3
"""Parts of a request that are named, the largest."""


def requested(door: Door, run: Run) -> tuple[Requested, ...]:
    """The requests of the finished turns of *run*. Raises as `Requests`."""
    return tuple(map(_told, _rebuilt(door, run)))


def request(door: Door, run: Run, number: int, *, role: str) -> Sent:
    """The one of turn *number*. Raises as `Requests`."""
    chosen, count = None, 0
    for each in _rebuilt(door, run):
        if role and each.role != role:
            continue
        count += 1
        if each.turn == number and (chosen is None or _explores(chosen) > _explores(each)):
            chosen = each
    if chosen is None:
        whose = f" of {role!r}" if role else ""
        raise SettingsError(
            f"{run.id} has no finished turn {number}{whose}; it has {count}", hint=f"nightmill requests {run.id}"
        )
    return Sent(request=_told(chosen), body=chosen.body.decode("utf-8", "surrogateescape"), hidden=False)


def _explores(found: Rebuilt) -> bool:
    return found.role.startswith("explorer")


def _rebuilt(door: Door, run: Run) -> Iterator[Rebuilt]:
    from nightmill.line import replay  # noqa: PLC0415 - all that makes a run, which a server at rest need not hold
    from nightmill.line.assignment import read  # noqa: PLC0415 - as above

    try:
        assignment = read(door.blobs.get(run.assignment))
        yield from replay.requests(run.id, assignment=assignment, ledger=door.ledger, blobs=door.blobs)
    except EngineError as error:  # as it is kept it stays so: no other try would help
        raise SettingsError(
            error.message, hint=error.hint or f"what {run.id} was made of is not kept any more"
        ) from error


def _told(found: Rebuilt) -> Requested:
    return Requested(
        turn=found.turn,
        role=found.role,
        model=found.model,
        size=len(found.body),
        rebuilt="as sent" if found.same else "differs" if found.sent else "no reply",
        shares=tuple(Portion(name=each.name, tokens=each.tokens) for each in found.shares[:MOST]),
    )
