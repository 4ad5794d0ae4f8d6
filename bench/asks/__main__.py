"""How many asks become the right blueprint, the right question or a refusal, with no model: `python -m bench.asks`.

The labels of asks.tsv were written before the words and weights were tuned. A fixed hash of the ask says which half an
ask is in: one was looked at while tuning, of the other only the sums.

    python -m bench.asks [--wrong]     --wrong: print those of the tuning half that go another way
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.page import put
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.shelves import shipped
from nightmill.crew import find
from nightmill.intake import Answer, Gateway, Offer, Surroundings
from nightmill.line.process import functions

HERE = Path(__file__).parent
BEGIN, END = "<!-- bench: made by `python -m bench.asks` -->", "<!-- /bench-asks -->"
Z = 1.96
"""Of a normal distribution, for 95 %."""
QUESTIONS = {"question", "several"}
PACKAGES = ("requests", "django", "numpy", "lodash", "pydantic", "react", "@types/node", "SQLAlchemy", "flask", "httpx")
PATHS = (
    "pagination.py",
    "walk.py",
    "parser.py",
    "billing.py",
    "utils.py",
    "pricing.py",
    "client.py",
    "invoice.py",
    "docs/specs/export.md",
)


class Asked(NamedTuple):
    """An ask with its label: a blueprint, or "question", "several", "refuse"; *inputs* that it gives beside its own words."""

    label: str
    inputs: dict[str, str]
    words: str

    @property
    def held_out(self) -> bool:
        """Whether it was not looked at."""
        return hashlib.sha256(self.words.encode()).digest()[0] % 2 == 1


def main() -> None:
    gateway = shipped_gateway()
    asks = labelled()
    got = [(each, gateway.answer(each.words)) for each in asks]
    if "--wrong" in sys.argv:
        _print_wrong(each for each in got if not each[0].held_out)
        return
    result = {
        half: measured([each for each in got if each[0].held_out is (half == "held out")])
        for half in ("tuned on", "held out")
    }
    (HERE.parent / "asks.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    lines = table(result)
    put(lines, begin=BEGIN, end=END)
    print("\n".join(lines))


def shipped_gateway() -> Gateway:
    """The shipped blueprints around a checkout with some files and packages."""
    catalogue = Catalogue((shipped(),), {role.name: role for role in find().roles}, functions=functions.SIGNATURES)
    offers = [
        Offer(blueprint=catalogue.get(name), said="approved by the release", closure=catalogue.closure(name).digest)
        for name in catalogue.entries
    ]
    packages = {each.casefold(): each for each in PACKAGES}
    return Gateway(offers, Surroundings(paths=frozenset(PATHS), packages=packages))


def labelled() -> list[Asked]:
    """The set, in the order of its file."""
    found = []
    for line in (HERE / "asks.tsv").read_text(encoding="utf-8").splitlines():
        label, inputs, words = line.split("\t")
        found.append(Asked(label, json.loads(inputs) if inputs else {}, words.replace("\\n", "\n")))
    return found


def outcome(answer: Answer) -> str:
    """What the answer says, in the words of the labels; "which" where a model or a person has to choose."""
    if answer.kind == "run":
        return answer.blueprint
    return {"questions": "question", "refused": "refuse"}.get(answer.kind, answer.kind)


def measured(got: Sequence[tuple[Asked, Answer]]) -> dict[str, Any]:
    """Counts as [right, of]."""
    runs = [(ask, answer) for ask, answer in got if ask.label not in QUESTIONS | {"refuse"}]
    refusals = [each for each in got if each[0].label == "refuse"]
    questions = [each for each in got if each[0].label in QUESTIONS]
    started = [(ask, answer) for ask, answer in got if answer.kind == "run"]
    right = [(ask, answer) for ask, answer in runs if outcome(answer) == ask.label]
    left = [(ask, answer) for ask, answer in got if answer.kind == "which"]
    among = [ask.label in {each.name for each in answer.near} for ask, answer in left]
    return {
        "right blueprint": [len(right), len(runs)],
        "right refusal": [sum(outcome(answer) == "refuse" for _, answer in refusals), len(refusals)],
        "right question": [sum(outcome(answer) == ask.label for ask, answer in questions), len(questions)],
        "inputs exactly": [sum(_inputs(ask, answer) for ask, answer in right), len(right)],
        "would start what was not asked for": [
            sum(outcome(answer) != ask.label for ask, answer in started),
            len(started),
        ],
        "left to choose": [len(left), len(got)],
        "… with the right one among them": [sum(among), len(left)],
    }


def _inputs(ask: Asked, answer: Answer) -> bool:
    """Whether the inputs are those of the label, and else the ask's own words or nothing."""
    given = dict(answer.inputs)
    named = {name: given.pop(name, None) for name in ask.inputs}
    return named == ask.inputs and all(value == answer.words for value in given.values())


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The interval of Wilson (1927) at 95 % for a share."""
    if not of:
        return 0.0, 1.0
    share = hits / of
    middle = (share + Z * Z / (2 * of)) / (1 + Z * Z / of)
    half = Z / (1 + Z * Z / of) * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def table(result: dict[str, Any]) -> list[str]:
    lines = ["| no model | tuned on | held out |", "|---|---|---|"]
    for name in result["held out"]:
        cells = []
        for half in ("tuned on", "held out"):
            hits, of = result[half][name]
            low, high = wilson(hits, of)
            cells.append(f"{hits} of {of} ({low:.0%} – {high:.0%})" if of else "none")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _print_wrong(got: Iterable[tuple[Asked, Answer]]) -> None:
    for ask, answer in got:
        if outcome(answer) != ask.label or (answer.kind == "run" and not _inputs(ask, answer)):
            near = ", ".join(f"{each.name} {each.score:.2f} {list(each.words)}" for each in answer.near)
            print(f"{ask.label:12} got {outcome(answer):12} {ask.words!r}\n    {answer.inputs} {answer.reason}; {near}")


if __name__ == "__main__":
    main()
