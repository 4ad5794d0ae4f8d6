"""Objective drift: how far the latest turns lead away from the task, scored by code from what they touched.

Three signs, each from 0 to 1: the turns touched what the task does not speak of (*off*), nothing was gained for long
(*stall*), the same calls came again (*loop*). Nobody judges the words: a model that drifts words it well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch

from nightmill.agent.nouns import AgentState, Brief, Signal, TurnRecord
from nightmill.tool.base import known_as

__all__ = ["ADRIFT", "FAR", "Drift", "gains", "score", "signal"]

WINDOW = 12
"""Turns that are looked back on."""
EARLY = 6
"""Turns at the beginning in which looking around is the work."""
LONG = 15
"""Turns without any gain that count as a full stall."""
OFF, STALL, LOOP = 0.5, 0.3, 0.3
"""Weights, chosen so that no single sign reaches `FAR`, and any two full ones do."""
READ = 0.5
"""What reading beside the task weighs against editing there."""
ADRIFT, FAR = 0.4, 0.6
"""From the first the agent is reminded of its task at length, from the second a guard speaks."""
WORD = re.compile(r"[a-z]{4,}")
MOST_ANCHOR = 4_000
"""Characters of the first message in which the task speaks of what it is about."""
COMMON = frozenset(
    (
        "this",
        "that",
        "with",
        "from",
        "must",
        "have",
        "when",
        "then",
        "they",
        "into",
        "main",
        "test",
        "tests",
        "file",
        "files",
        "code",
        "work",
        "repo",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The score and its signs; *why* is the strongest in words."""

    off: float
    stall: float
    loop: float

    @property
    def score(self) -> float:
        """From 0, on course, to 1."""
        return round(min(1.0, OFF * self.off + STALL * self.stall + LOOP * self.loop), 3)

    @property
    def why(self) -> str:
        """The strongest sign, in words."""
        signs = {
            "they touch files that the task does not speak of": OFF * self.off,
            "nothing was gained for many turns": STALL * self.stall,
            "the same calls come again and again": LOOP * self.loop,
        }
        return max(signs, key=lambda each: signs[each])


def score(brief: Brief, state: AgentState) -> Drift:
    """How far *state* has drifted from the task of *brief*."""
    latest = state.signals[-WINDOW:]
    if state.turn < EARLY or not latest:
        return Drift(off=0.0, stall=0.0, loop=0.0)
    subject = _words(brief.objective) | _words(brief.anchor[:MOST_ANCHOR])
    touching = [each for each in latest if each.paths]
    off = sum(_off(each, brief, subject) for each in touching) / max(len(touching), EARLY)
    gained = max((each.turn for each in state.signals if each.progress), default=0)
    stall = min(1.0, (state.turn - gained) / LONG)
    calls = [each.exact for each in state.made]
    loop = 1 - len(set(calls)) / len(calls) if len(calls) >= EARLY else 0.0
    return Drift(off=off, stall=stall, loop=loop)


def signal(before: AgentState, record: TurnRecord) -> Signal:
    """What the turn of *record* says, coming from *before*."""
    paths = tuple(dict.fromkeys((*(path for path, _ in record.seen), *record.edited)))
    return Signal(
        turn=record.turn,
        paths=tuple(path.removeprefix("/work/repo/") for path in paths),
        edited=bool(record.edited),
        progress=bool(gains(before, record)),
    )


def gains(before: AgentState, record: TurnRecord) -> tuple[str, ...]:
    """What the turn of *record* gained that the work of *before* never had, each as a word of its own.

    A file that is written back and forth, an item that is done, undone and done again, a check that ends as it did
    since the latest edit: each is a gain once. Whoever goes round in such a circle gains nothing.
    """
    wrote = {known_as(path) for path in record.edited}
    contents = dict(record.seen)
    edits = [f"edit {path} {contents.get(path, record.turn)}" for path in sorted(wrote)]
    found = [f"file {path}" for path in contents if path not in before.known and path not in wrote]
    done = [f"done {each.text}" for each in record.todo or () if each.state == "done"]
    notes = [f"note {each.text}" for each in record.notes]
    had = set(before.gained)
    latest = next((each for each in reversed((*before.gained, *edits)) if each.startswith("edit ")), "")
    told = [f"check {'passed' if each.ok else 'failed'} {latest}" for each in record.ran if each.check]
    return tuple(each for each in dict.fromkeys((*edits, *found, *done, *notes, *told)) if each not in had)


def _off(turn: Signal, brief: Brief, subject: frozenset[str]) -> float:
    if any(_related(path, brief, subject) for path in turn.paths):
        return 0.0
    return 1.0 if turn.edited else READ


def _related(path: str, brief: Brief, subject: frozenset[str]) -> bool:
    if any(fnmatch(path, each) or path.startswith(f"{each.rstrip('/')}/") for each in brief.footprint):
        return True
    return bool(_words(path) & subject)


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower())) - COMMON
