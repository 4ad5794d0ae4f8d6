"""What a run writes just now, as it comes in: kept in memory, in pieces, and only the newest part of each.

To hear costs a list's append, whether or not anybody watches: who comes late sees what is there, and neither a model nor
the store is asked for it. What is shown of it is without secrets, also of those that come in two parts.
"""

from __future__ import annotations

import codecs
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightmill.kept import Draft, Piece
from nightmill.tool.base import plain

if TYPE_CHECKING:
    from nightmill.store.redaction import Redaction

__all__ = ["Beside", "Text", "Writing", "shown"]

ROOM = 8_000
"""Characters that are shown, of all pieces together."""
MARGIN = 4_096
"""Characters before those that are looked through for secrets that reach into them."""
KEEP = ROOM + 2 * MARGIN
MOST = 12
"""Calls and outputs that are kept of a turn: the latest."""
ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\[\"\\/bfnrt]")
SPACE = re.compile(r"\s")


@dataclass(slots=True)
class Text:
    """One piece as it comes in; it *rests* while another goes on, and is *whole* once nothing more comes."""

    kind: str
    name: str = ""
    by: str = ""
    whole: bool = False
    rests: bool = False
    total: int = 0
    size: int = 0
    parts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Put *text* behind it; what is too long ago is let go."""
        self.rests = False
        self.parts.append(text)
        self.total += len(text)
        self.size += len(text)
        if self.size > 2 * KEEP:
            self.parts = ["".join(self.parts)[-KEEP:]]
            self.size = KEEP

    def shown(self, hide: Redaction, *, room: int) -> Piece:
        """Its newest *room* characters as people may see them."""
        text = "".join(self.parts)
        cut = self.total - len(text)
        if self.kind == "call":
            text = ESCAPED.sub(_unescaped, text)
        elif self.kind == "output":
            text = plain(text)
        text = hide.text(text) if self.whole else hide.growing(text, rests=self.rests)
        # Of a secret that began before, the rest is not known as one.
        newest = (_after(text, max(MARGIN, hide.longest)) if cut else text)[-room:]
        left = cut + len(text) - len(newest)
        return Piece(kind=self.kind, name=hide.text(self.name), text=newest, cut=left, by=self.by)


class Writing:
    """What one run writes: one turn at a time, and of each the latest attempt."""

    def __init__(self) -> None:
        self.role, self.turn, self.attempt = "", 0, ""
        self.heard = 0
        """How much came: with another number there is more to be seen."""
        self.texts: list[Text] = []

    def begin(self, *, role: str, turn: int) -> None:
        """Begin a turn, for the first time or again: what was written before is gone."""
        self.role, self.turn, self.attempt = role, turn, secrets.token_hex(8)
        self.texts, self.heard = [], 0

    def go_on(self, *, role: str, turn: int) -> None:
        """Go on with a turn; begin it, if it is another."""
        if (role, turn) != (self.role, self.turn):
            self.begin(role=role, turn=turn)

    def end(self, *, role: str, turn: int) -> None:
        """That turn is over; one that has begun since goes on."""
        if (role, turn) == (self.role, self.turn):
            self.clear()

    def clear(self) -> None:
        """Nothing is written."""
        self.begin(role="", turn=0)

    def hear(self, kind: str, text: str, *, by: str = "") -> None:
        """More of a reply, as `model.Progress` says it; *by* an explorer, or the turn itself."""
        if kind == "tool":
            self._open(Text("call", text, by))
        elif kind == "tool_call":
            self._add(self._latest("call", by), text)
        elif kind in {"text", "thinking"}:
            # Parts may come by turns, and no secret is to be cut in two by that: one of each kind.
            self._add(self._latest(kind, by), text)

    def whole(self, *, by: str = "") -> None:
        """The reply is whole, and so are its words. Of calls that come by turns nobody knows it."""
        for each in (each for each in self.texts if each.by == by):
            each.whole, each.rests = each.kind in {"text", "thinking"}, True
        self.heard += 1

    def output(self, name: str) -> Callable[[bytes], None]:
        """What takes the output of the command *name*, which is not to be seen until there is some."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        attempt, piece = self.attempt, Text("output", name)

        def take(body: bytes) -> None:
            if attempt == self.attempt:
                if not piece.total:
                    self._open(piece)
                self._add(piece, decoder.decode(body))

        return take

    def drop(self, by: str) -> None:
        """What the explorer *by* wrote is gone."""
        self.texts = [each for each in self.texts if each.by != by]
        self.heard += 1

    def _latest(self, kind: str, by: str) -> Text:
        found = next((each for each in reversed(self.texts) if (each.kind, each.by) == (kind, by)), None)
        return self._open(Text(kind, by=by)) if found is None else found

    def _open(self, piece: Text) -> Text:
        for each in self.texts:
            each.rests = True
        self.texts.append(piece)
        acts = [each for each in self.texts if each.kind in {"call", "output"}]
        if len(acts) > MOST:
            self.texts.remove(acts[0])
        self.heard += 1
        return piece

    def _add(self, piece: Text, text: str) -> None:
        piece.add(text)
        self.heard += 1


class Beside:
    """What the explorer *by* writes, beside the turn that sent it out; of each of its replies the latest attempt."""

    def __init__(self, writing: Writing, by: str) -> None:
        self._writing, self._by, self._attempt = writing, by, writing.attempt

    def begin(self, *, role: str, turn: int) -> None:  # noqa: ARG002 - as `Writing` has it; an explorer is named once
        """Begin a reply: what was written before is gone."""
        self.end()

    def hear(self, kind: str, text: str) -> None:
        """More of the reply."""
        if self._writing.attempt == self._attempt:
            self._writing.hear(kind, text, by=self._by)

    def whole(self) -> None:
        """The reply is whole, and so are its words."""
        if self._writing.attempt == self._attempt:
            self._writing.whole(by=self._by)

    def end(self) -> None:
        """It writes nothing."""
        if self._writing.attempt == self._attempt:
            self._writing.drop(self._by)


def shown(header: Draft, texts: Sequence[Text], hide: Redaction) -> Draft:
    """The draft of which *header* says what it is of, with what is shown of *texts*: the newest have room first."""
    pieces, room = list[Piece](), ROOM
    for each in reversed(texts):
        if room > 0:
            pieces.append(each.shown(hide, room=room))
            room -= len(pieces[-1].text)
    return Draft(
        run=header.run, role=header.role, turn=header.turn, attempt=header.attempt, pieces=tuple(reversed(pieces))
    )


def _after(text: str, margin: int) -> str:
    """*text* after its first *margin* characters, and after the word that they end in."""
    found = SPACE.search(text, margin)
    return text[found.end() :] if found else ""


def _unescaped(found: re.Match[str]) -> str:
    text: str = json.loads(f'"{found[0]}"')
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
