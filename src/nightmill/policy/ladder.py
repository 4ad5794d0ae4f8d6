"""What follows when a mistake is made again: the mildest measure first, a person last. It only ever asks for more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import get_args

from nightmill.policy.facts import Record
from nightmill.policy.nouns import Measure, Rung

__all__ = ["FOOTPRINT", "LADDER", "NETWORK", "TAKEABLE", "TAKES", "WINDOW", "WORDS", "measure", "records", "takes"]

WINDOW = 50
"""Runs of tasks in a project that are looked back on: what has not happened for so long is over."""

NETWORK = "network"
FOOTPRINT = "footprint"
TAKEABLE = (
    NETWORK,
    FOOTPRINT,
    "explore",
    "run_command",
    "edit_file",
    "write_file",
    "read_file",
    "list_files",
    "search",
)
"""What a rung can take: what commands may reach, writing beyond the planned footprint, tools. What ends or orders a conversation stays."""
TAKES = (NETWORK, "explore")
"""What a rung takes that does not say it: nobody needs it to change files and to run the checks."""

LADDER = (
    Rung(kind="", measure="note", times=1),
    Rung(kind="", measure="instruction", times=3),
    Rung(kind="", measure="permission", times=6, takes=TAKES),
    Rung(kind="", measure="approval", times=10),
)
"""Where the operator says nothing."""

WORDS = {
    "claim": "said that it was done, and the checks failed",
    "finding": "had a finding of another role to mend",
    "guard": "was stopped by a guard",
    "refusal": "made a change that a person refused",
}
"""Each kind of mistake, after its role."""


def measure(ladder: Iterable[Rung], kind: str, times: int) -> Measure:
    """The gravest measure that the mistake *kind* has come to when it was made so many *times*.

    Rungs of the kind and rungs of every kind both count, so that a rung more never makes a measure milder.
    """
    reached: list[Measure] = [rung.measure for rung in ladder if rung.kind in {"", kind} and times >= rung.times]
    return max(reached, key=get_args(Measure).index, default="none")


def takes(ladder: Iterable[Rung], kind: str, times: int) -> tuple[str, ...]:
    """What all rungs together take from who made the mistake *kind* so many *times*: a rung more never gives back."""
    gone = {name for rung in ladder if rung.kind in {"", kind} and times >= rung.times for name in rung.takes}
    return tuple(name for name in TAKEABLE if name in gone)


def records(ladder: Iterable[Rung], made: Iterable[tuple[str, str, str]]) -> tuple[Record, ...]:
    """The record of each (role, model, kind of mistake) in *made*, with what follows; the gravest first."""
    rungs, order = tuple(ladder), get_args(Measure)
    found = [
        Record(
            role=role,
            model=model,
            kind=kind,
            times=times,
            measure=measure(rungs, kind, times),
            takes=takes(rungs, kind, times),
        )
        for (role, model, kind), times in Counter(made).items()
    ]
    return tuple(sorted(found, key=lambda each: (-order.index(each.measure), -each.times, each.role, each.kind)))
