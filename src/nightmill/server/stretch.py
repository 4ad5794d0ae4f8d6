"""A stretch of the ledger as it goes out, in the memory that all who watch share: bounded in bytes, however slowly they read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["KEPT", "PIECE", "Item", "Piece", "Place", "Stretch", "Wants"]

KEPT = 8 << 20
"""Bytes that a stretch which grows holds: of more it loses the oldest."""
PIECE = 64 << 10
"""Bytes from which on nothing more is put into one piece: it is all that is held for a reader alone."""


class Place(NamedTuple):
    """Where a run belongs: its project, and the runs *above* it, of which each started the one before."""

    project: str = ""
    above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as it goes out: *frame* is its event of the stream, made once for everybody."""

    seq: int
    name: str
    run: str
    place: Place
    frame: bytes


Wants = Callable[[Item], bool]


class Piece(NamedTuple):
    """What of a stretch somebody wants, as bytes, and the number of the last entry that was looked at for it."""

    frames: bytes
    seen: int


class Stretch:
    """All entries, or all of one run, after number *start* up to number *end*."""

    def __init__(self, start: int, end: int, items: Sequence[Item] = ()) -> None:
        self.start, self.end = start, end
        self.items = list(items)
        self.size = sum(len(item.frame) for item in items)

    def add(self, items: Sequence[Item]) -> None:
        """Go on with *items*, which are all that follow."""
        self.items += items
        self.size += sum(len(item.frame) for item in items)
        self.end = items[-1].seq
        gone = 0
        while self.size > KEPT:
            self.size -= len(self.items[gone].frame)
            gone += 1
        if gone:
            self.start = self.items[gone - 1].seq
            del self.items[:gone]

    def forget(self) -> None:
        """Hold nothing of what there was so far."""
        self.start, self.items, self.size = self.end, [], 0

    def after(self, number: int) -> list[Item]:
        """All after that *number*."""
        return self.items[bisect_right(self.items, number, key=lambda item: item.seq) :]

    def piece(self, wants: Wants, *, after: int, upto: int) -> Piece:
        """The next piece of what is wanted after number *after* and not after *upto*."""
        found, size = [], 0
        for at in range(bisect_right(self.items, after, key=lambda item: item.seq), len(self.items)):
            item = self.items[at]
            if item.seq > upto:
                break
            if wants(item):
                found.append(item.frame)
                size += len(item.frame)
                if size >= PIECE:
                    return Piece(b"".join(found), item.seq)
        return Piece(b"".join(found), max(after, min(upto, self.end)))
