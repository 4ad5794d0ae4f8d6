"""Many runs at once on one small project, in one worker, each with a model that misbehaves in its own way."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightmill.cli.door import Door
from nightmill.forge import PullRequest
from nightmill.line import submit
from nightmill.settings import load
from nightmill.store.ledger import Entry
from nightmill.store.runs import Run
from tests.whole import MODELS, PLAN, SPEC, WORK, Mill, wait_for

DEADLINE = 540.0
"""Seconds after which something hangs, also on a machine that has other work to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One spec with the replies that a model gives to it.

    *architect* and *developer* are the faults of their turns, as a script names them: one for all turns, or none.
    *sound* of the developer's turns, from the first, are without. *explorer* is what each explorer says, over and over.
    """

    name: str
    dialect: str
    architect: Any = None
    developer: Any = None
    sound: int = 0
    turns: tuple[dict[str, Any], ...] = WORK
    explorer: dict[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What tells its requests from those of others."""
        return f"{self.dialect}, {self.name}."

    @staticmethod
    def lasts(fault: Any) -> bool:
        """Whether *fault* is met each time."""
        return isinstance(fault, dict) and fault["times"] == "always"

    def roles(self) -> dict[str, Any]:
        """Its part of the script."""
        plan, end = _with({"text": json.dumps(PLAN)}, self.architect), {"text": json.dumps(PLAN)}
        if self.lasts(self.architect):
            end = plan
        turns = [_with(turn, self.developer if at >= self.sound else None) for at, turn in enumerate(self.turns)]
        return {
            f"architect {self.title}": {
                "system": "You are the architect",
                "user": self.title,
                "turns": [plan],
                "end": end,
            },
            f"developer {self.title}": {"system": "You are the developer", "user": self.title, "turns": turns},
            **self._explorers(),
        }

    def _explorers(self) -> dict[str, Any]:
        """Known by their questions, which name the case."""
        role = {"system": "You are an explorer", "user": self.title, "turns": [], "end": self.explorer}
        return {f"explorer {self.title}": role} if self.explorer else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a case ended: the spec's run, the run of its task (None: it came to none), and what was told of both."""

    run: Run
    task: Run | None
    entries: tuple[Entry, ...]
    request: PullRequest | None

    @property
    def trees(self) -> list[str]:
        """The trees that were committed."""
        return [json.loads(entry.body)["tree"] for entry in self.entries if entry.name == "commit_made"]

    def told(self, name: str) -> list[dict[str, Any]]:
        """What the events *name* said."""
        return [json.loads(entry.body) for entry in self.entries if entry.name == name]


class Field:
    """Where the cases run."""

    def __init__(self, mill: Mill, checkout: Path) -> None:
        self.mill = mill
        self.checkout = checkout
        self.runs: dict[str, str] = {}

    def sow(self, door: Door, cases: list[Case], *, url: str) -> None:
        """Ask for a run of each of *cases*."""
        project = door.project(self.checkout)
        for case in cases:
            spec = self.mill.folder / "specs" / f"{len(self.runs)}.md"
            spec.parent.mkdir(exist_ok=True)
            spec.write_text(SPEC.format(title=f": {case.title}"), encoding="utf-8")
            flags = {"model": MODELS[case.dialect], "base_url": url, "home": self.mill.home, **case.settings}
            asked = submit.submit(
                submit.Ask(
                    spec=spec,
                    root=self.checkout,
                    base="",
                    by="Ada <ada@example.org>",
                    home=self.mill.user,
                    now=time.time,
                ),
                settings=load(file={}, environment={}, flags=flags),
                database=door.database,
                blobs=door.blobs,
                runs=door.runs,
                project=project,
            )
            self.runs[case.title] = asked.id

    def harvest(self, door: Door, cases: list[Case]) -> dict[str, Outcome]:
        """Wait until all of *cases* are over, and give what came of each."""
        ids = {self.runs[case.title] for case in cases}

        def over() -> bool:
            return not any(run.id in ids and not run.over for run in door.runs.list())

        try:
            wait_for("the end of all runs", over, seconds=DEADLINE)
        except AssertionError as error:
            hang = [(r.id, r.title, r.state, r.phase, r.turns, r.reason) for r in door.runs.list() if not r.over]
            raise AssertionError(f"{error}: {hang}\n{self.mill.log.read_text()[-4000:]}") from None
        return {case.title: self._outcome(door, self.runs[case.title]) for case in cases}

    @staticmethod
    def _outcome(door: Door, run: str) -> Outcome:
        task = next(iter(door.runs.list(parent=run)), None)
        entries = (*door.ledger.read(run=run), *(door.ledger.read(run=task.id) if task else ()))
        number = task.pull_request if task else 0
        found = next((each for each in door.forge.all() if each.number == number), None)
        return Outcome(run=door.runs.get(run), task=task, entries=entries, request=found)


def _with(turn: dict[str, Any], fault: Any) -> dict[str, Any]:
    return {**turn, "fault": fault} if fault else turn
