"""Records of turns as the blobs that checkpoints name, and what the ledger is told of each."""

from __future__ import annotations

from functools import cache

from pydantic import TypeAdapter

from nightmill import event
from nightmill.agent import TurnRecord
from nightmill.model import Usage

__all__ = ["SAID", "finished", "read_record", "write_record"]

SAID = 300
"""Characters of a turn's words that the ledger shows beside its figures."""
usages = TypeAdapter(Usage)


@cache
def _records() -> TypeAdapter[TurnRecord]:
    return TypeAdapter(TurnRecord)


def write_record(record: TurnRecord) -> bytes:
    """*record* as JSON."""
    return _records().dump_json(record)


def read_record(body: bytes) -> TurnRecord:
    """The turn in *body*."""
    return _records().validate_json(body)


def finished(record: TurnRecord, *, run: str, role: str, model: str, kept: str, snapshot: str) -> event.TurnFinished:
    """The end of the turn *record* of *role*: *kept* is its blob, *model* whoever was asked if the reply names nobody."""
    reply = record.reply
    return event.TurnFinished(
        run=run,
        turn=record.turn,
        role=role,
        model=reply.by or model,
        record=kept,
        snapshot=snapshot,
        usage=usages.dump_python(reply.usage, mode="json"),
        cost=reply.cost,
        calls=len(reply.calls),
        said=" ".join(reply.text.split())[:SAID],
        seconds=sum(value for name, value in (record.seconds or {}).items() if name != "first"),
    )
