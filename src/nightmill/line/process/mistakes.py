"""Mistakes of the roles of a run: told to the ledger, noted in their memory, and counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from nightmill import event
from nightmill.crew import Memory, Note, identity
from nightmill.errors import EngineError, NightmillError, StoreUnavailable
from nightmill.line.assignment import models
from nightmill.line.brief import role as role_of
from nightmill.policy import WINDOW, WORDS, Record, measure, records
from nightmill.store import mistakes

if TYPE_CHECKING:
    from nightmill.line.process.workshop import Workshop

__all__ = ["coders", "known", "plain", "read", "tell"]

log = logging.getLogger(__name__)
Kind = Literal["claim", "finding", "guard", "refusal"]
PROCESS = "process"
"""Who made what commands changed: nobody of the crew."""


async def tell(shop: Workshop, kind: Kind, roles: Iterable[str], *, on: str, quotes: tuple[str, ...]) -> None:
    """Tell of the mistake *kind* of *roles*, once for all that it is about, *on*, however often the run begins anew.

    *quotes* say what it was in the words of others, for their notes.
    """
    project = shop.assignment.project.id
    for name in sorted(_acting(shop, roles)):
        made = event.MistakeMade(run=shop.run, project=project, role=name, model=_model(shop, name), kind=kind, on=on)
        shop.tell(made)
        noted = await shop.waiting.attempt("note", lambda made=made: _note(shop, made, quotes))  # type: ignore[misc]
        if noted["text"]:
            shop.tell(
                event.NoteWritten(
                    run=shop.run,
                    project=project,
                    role=name,
                    kind=kind,
                    on=on,
                    text=noted["text"],
                    commit=noted["commit"],
                    why=noted["why"],
                )
            )


def coders(shop: Workshop) -> set[str]:
    """The roles that wrote code of the change."""
    named = _acting(shop, (part.role for part in shop.parts))
    return {name for name in named if role_of(name, shop.assignment).writes == "code"}


def known(shop: Workshop, roles: Iterable[str]) -> tuple[Record, ...]:
    """The records of *roles* in the project, each with the model that it has here; blocking."""
    acting = {(name, _model(shop, name)) for name in _acting(shop, roles)}
    made = ((each.role, each.model, each.kind) for each in _recent(shop) if (each.role, each.model) in acting)
    return records(shop.assignment.policy.ladder, made)


def plain(found: Iterable[Record]) -> list[dict[str, Any]]:
    """*found* as a checkpoint keeps them."""
    return [{**asdict(each), "takes": list(each.takes)} for each in found]


def read(plain: Iterable[Mapping[str, Any]]) -> tuple[Record, ...]:
    """Records as a checkpoint kept them."""
    return tuple(Record(**{**each, "takes": tuple(each.get("takes", ()))}) for each in plain)


async def _note(shop: Workshop, made: event.MistakeMade, quotes: tuple[str, ...]) -> dict[str, Any]:
    """The note of *made*, in its role's memory before this is a checkpoint; "" where the ladder wants none yet.

    No run stops for a note: *why* says what keeps it from being written.
    """
    try:
        await shop.machines.ledger.flush()  # whoever begins next counts it, too
    except StoreUnavailable:
        raise
    except EngineError as lost:
        log.error("events were lost: %s", lost.message)  # noqa: TRY400 - its traceback says nothing
    return await asyncio.to_thread(_noted, shop, made, quotes)


def _noted(shop: Workshop, made: event.MistakeMade, quotes: tuple[str, ...]) -> dict[str, Any]:
    same = [each for each in _recent(shop) if (each.role, each.model, each.kind) == (made.role, made.model, made.kind)]
    times = len({(each.run, each.key) for each in (*same, made)})
    if measure(shop.assignment.policy.ladder, made.kind, times) == "none":
        return {"text": "", "commit": "", "why": ""}
    settings = shop.machines.settings
    note = Note(
        project=made.project,
        role=made.role,
        run=made.run,
        kind=made.kind,
        key=str(made.key),
        said=WORDS[made.kind],
        quotes=tuple(map(shop.machines.database.hidden.text, quotes)),
        at=shop.machines.now(),
    )
    try:
        author = identity(made.role, home=settings.home, domain=settings.identity_domain)
        commit, why = Memory(settings.home).add(note, author=author), ""
    except (NightmillError, OSError) as error:
        log.warning("a note of run %s is not written: %s", made.run, error)
        commit, why = "", str(error)[:400]
    return {"text": note.line, "commit": commit, "why": why}


def _recent(shop: Workshop) -> list[event.MistakeMade]:
    return mistakes.recent(shop.machines.database, shop.assignment.project.id, runs=WINDOW)


def _acting(shop: Workshop, names: Iterable[str]) -> set[str]:
    """The roles of the crew behind *names*: an external agent that does a role's work signs as both, `developer-codex`."""
    agent = shop.assignment.agent
    both = f"-{agent.name}" if agent is not None else ""
    return {name.removesuffix(both) for name in names} - {PROCESS}


def _model(shop: Workshop, name: str) -> str:
    """Who *name* is here: the model that answers it, or the agent that does its work."""
    assignment = shop.assignment
    if assignment.agent is not None and name == "developer":
        return assignment.worker
    return models(assignment, role_of(name, assignment))[0].name
