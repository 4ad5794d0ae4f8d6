"""What a page says of one run: its summary, proof, timeline, turns and diff, made from its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nightmill.report.hunks import FileView, files
from nightmill.report.nouns import Blob, Child, turn_id
from nightmill.report.summary import Summary, summary
from nightmill.report.text import Shown, shown
from nightmill.report.timeline import Timeline
from nightmill.report.trust import Trust, trust
from nightmill.report.turns import WHOLE, Turns, Window, turns
from nightmill.report.weave import timeline
from nightmill.report.words import money, tokens

__all__ = ["Section", "section"]

ROOM_TURNS, ROOM_CHECKS, ROOM_DIFF, ROOM_BODY = 900_000, 200_000, 400_000, 30_000
"""Characters of what others wrote that one page shows, shared by all its runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Everything that a page says of one run. *anchor* begins every id of it.

    *elsewhere* has the address of each turn, by its id, that another page shows.
    """

    anchor: str
    summary: Summary
    trust: Trust
    timeline: Timeline
    turns: Turns
    files: tuple[FileView, ...]
    files_left_out: int
    body: Shown | None
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def link(self, lane: int, turn: int) -> str:
        """Where the turn number *turn* of the lane number *lane* is shown."""
        place = turn_id(self.anchor, lane, turn)
        return f"{self.elsewhere.get(place, '')}#{place}"

    def sums(self) -> dict[str, str]:
        """What all turns came to by the end of each, by where that one is shown."""
        cost, held, told = 0.0, 0, dict[str, str]()
        for each in self.turns.spent:
            cost += each.cost or 0.0
            held += each.usage.input + each.usage.output
            told[self.link(each.lane, each.turn)] = (
                f"{money(cost)}, {tokens(held)} tokens" if cost else f"{tokens(held)} tokens"
            )
        return told


def section(
    child: Child, *, anchor: str = "", blob: Blob, now: float, share: int = 1, window: Window = WHOLE
) -> Section:
    """The section of the run *child*, one of *share* on its page.

    Of its turns those in *window* are shown, the others are at `?turns=1` and so on.

    Raises:
        ValueError: If it has no events.
    """
    entries = sorted(child.events, key=lambda entry: entry.seq)
    told = [entry.event for entry in entries]
    woven = timeline(entries, now=now)
    short = summary(entries, now=now, woven=woven)
    lanes = [lane.name for lane in woven.lanes]
    taken = turns(told, blob=blob, anchor=anchor, lanes=lanes, room=ROOM_TURNS // share, window=window)
    seen = {view.id for view in taken.views}
    away = {
        place: f"?turns={number // window.block + 1}"
        for number, place in enumerate(taken.places)
        if window.block and place not in seen
    }
    changed, left_out = files(child.diff, room=ROOM_DIFF // share, edited={} if away else taken.edited)
    return Section(
        anchor=anchor,
        summary=short,
        trust=trust(told, short, blob=blob, room=ROOM_CHECKS // share),
        timeline=woven,
        turns=taken,
        files=tuple(changed),
        files_left_out=left_out,
        body=shown(child.body, ROOM_BODY // share) if child.body else None,
        elsewhere=away,
    )
