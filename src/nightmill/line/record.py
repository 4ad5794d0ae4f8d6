"""Records of turns as the blobs that checkpoints name."""

from __future__ import annotations

from functools import cache

from pydantic import TypeAdapter

from nightmill.agent import TurnRecord

__all__ = ["read_record", "write_record"]


@cache
def _records() -> TypeAdapter[TurnRecord]:
    return TypeAdapter(TurnRecord)


def write_record(record: TurnRecord) -> bytes:
    """*record* as JSON."""
    return _records().dump_json(record)


def read_record(body: bytes) -> TurnRecord:
    """The turn in *body*."""
    return _records().validate_json(body)
