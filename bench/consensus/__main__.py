"""The same tasks by three blueprints, with a developer who errs at one in five and others who miss one in ten.

The draws of a run depend on the seed and its number alone, so each blueprint meets the same people. What has ended is kept
line by line, and a run that is there already is not done again.

    python -m bench.consensus [--runs N] [--seed N] [--only A,B] [-n N] [--minutes N] [--errs S] [--misses S] [--alarms S]
                              [--alike S] [--keep FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.consensus.people import KINDS, People
from bench.consensus.runs import BLUEPRINTS, Came, Wanted, carry_out
from bench.faults import interval
from bench.machine import machine
from bench.page import put
from bench.stage import adopt_orphans
from bench.suite import need_scripted

RESULTS = Path(__file__).resolve().parent.parent / "consensus.json"
BEGIN, END = "<!-- bench: made by `make bench-consensus` -->", "<!-- /bench-consensus -->"
HEAD = (
    "blueprint",
    "first attempt right, as drawn",
    "the right tree landed",
    "a wrong tree landed (goal ≤ 0.5%)",
    "of first attempts that erred, landed wrong",
    "stopped / parked / hang",
    "right or honestly stopped (goal ≥ 99%)",
    "turns",
    "tokens",
    "US dollars",
)
BATCH = 50
"""Numbers, each with all blueprints, that one home holds."""


def main() -> None:
    options = _options()
    need_scripted()
    people = People(
        seed=options.seed, errs=options.errs, misses=options.misses, alarms=options.alarms, alike=options.alike
    )
    only = [name for name in BLUEPRINTS if name in options.only.split(",")]
    name = f"nightmill-consensus-{options.seed}-{people.errs}-{people.misses}-{people.alarms}-{people.alike}.jsonl"
    keep = options.keep or Path(tempfile.gettempdir()) / name
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends too
    load, begun = os.getloadavg()[0], time.monotonic()
    known = _kept(keep)
    before = len(known)
    _all(known, people, options, only=only, keep=keep, end=begun + options.minutes * 60 if options.minutes else 0.0)
    came = _whole(known, only, options.runs)
    found = {
        "machine": machine(),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "seconds": round(time.monotonic() - begun),
        "runs_now": len(known) - before,
        "commits": sorted({each.commit for each in came}),
        "people": asdict(people),
        "kinds": KINDS,
        "blueprints": {name: _summed([each for each in came if each.blueprint == name]) for name in only},
        "not_right": [asdict(each) for each in came if each.kind != "right"],
    }
    (options.json or RESULTS).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if options.json is None:
        _write(found)
    print(json.dumps({name: value for name, value in found.items() if name != "not_right"}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Three blueprints beside each other, with people who err.")
    parser.add_argument("--runs", type=int, default=1000, help="of each blueprint")
    parser.add_argument("--seed", default="7")
    parser.add_argument("--only", default=",".join(BLUEPRINTS), help="blueprints, by commas")
    parser.add_argument("-n", "--workers", type=int, default=2, help="worker processes")
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="no run goes on longer than this; 0: as long as it takes"
    )
    parser.add_argument("--errs", type=float, default=0.2, help="share of a developer's attempts")
    parser.add_argument("--misses", type=float, default=0.1, help="share of what a role does not see")
    parser.add_argument("--alarms", type=float, default=0.02, help="share in which a role objects to what is right")
    parser.add_argument("--alike", type=float, default=0.0, help="of what is missed, the part that all miss together")
    parser.add_argument(
        "--keep",
        type=Path,
        help="where each run is kept as it ends; default: by seed and shares in the temporary folder",
    )
    parser.add_argument("--json", type=Path, help=f"where to; default: {RESULTS.name}, and the table of the docs")
    return parser.parse_args()


def _kept(keep: Path) -> dict[tuple[str, int], Came]:
    lines = keep.read_text().splitlines() if keep.exists() else []
    found = [Came(**json.loads(line)) for line in lines if line.endswith("}")]  # the last one may be cut off
    return {(each.blueprint, each.number): each for each in found}


def _whole(known: Mapping[tuple[str, int], Came], only: Sequence[str], most: int) -> list[Came]:
    """Those of all numbers below the first that has not ended by each blueprint: as many of each, none left out for being slow."""
    end = next((number for number in range(most) if any((name, number) not in known for name in only)), most)
    return [known[name, number] for name in only for number in range(end)]


def _all(
    known: dict[tuple[str, int], Came],
    people: People,
    options: argparse.Namespace,
    *,
    only: Sequence[str],
    keep: Path,
    end: float,
) -> None:
    """Do what is not *known* yet, number by number, so that what there is can be compared whenever it ends."""
    with keep.open("a") as file:

        def told(came: Came) -> None:
            known[came.blueprint, came.number] = came
            file.write(json.dumps(asdict(came), ensure_ascii=False) + "\n")
            file.flush()
            print(f"\r{len(known)} ended ", end="", file=sys.stderr, flush=True)

        for first in range(0, options.runs, BATCH):
            numbers = range(first, min(first + BATCH, options.runs))
            wanted = [Wanted(blueprint=b, number=n) for n in numbers for b in only if (b, n) not in known]
            if wanted and (not end or time.monotonic() < end):
                carry_out(wanted, people, workers=options.workers, told=told, until=end)
    print(file=sys.stderr)


def _summed(came: Sequence[Came]) -> dict[str, Any]:
    kinds = Counter(each.kind for each in came)
    honest = len(came) - kinds["wrong"] - kinds["hangs"]
    shares = {"right": kinds["right"], "wrong": kinds["wrong"], "right_or_stopped": honest}
    shares["first_attempt_right"] = sum(each.began == "right" for each in came)
    erred = [each for each in came if each.began != "right"]
    escaped = sum(each.kind == "wrong" for each in erred)
    return {
        "runs": len(came),
        "erred": len(erred),
        "escaped": escaped,
        **{name: kinds[name] for name in ("right", "wrong", "stopped", "parked", "hangs")},
        "right_or_stopped": honest,
        "first_attempt_right": shares["first_attempt_right"],
        "intervals": {
            **{name: [round(each, 4) for each in interval(hits, len(came))] for name, hits in shares.items()},
            "escaped": [round(each, 4) for each in interval(escaped, len(erred))],
        },
        "tokens": round(fmean([each.tokens for each in came] or [0])),
        "cost": round(fmean([each.cost for each in came] or [0]), 4),
        "turns": round(fmean([each.turns for each in came] or [0]), 1),
        "began": {k: dict(Counter(each.kind for each in came if each.began == k)) for k in ("right", *KINDS)},
        "by_task": {
            t: dict(Counter(each.kind for each in came if each.task == t)) for t in {each.task: 0 for each in came}
        },
    }


def _write(found: Mapping[str, Any]) -> None:
    """Put the figures between the marks of the page."""
    facts, people = found["machine"], found["people"]

    def share(each: Mapping[str, Any], name: str, of: str = "runs") -> str:
        low, high = each["intervals"][name]
        return f"{each[name]} of {each[of]}: **{each[name] / max(1, each[of]):.1%}** ({low:.1%}–{high:.1%})"

    rows = [
        f"| {name} | {share(each, 'first_attempt_right')} | {share(each, 'right')} | {share(each, 'wrong')} "
        f"| {share(each, 'escaped', 'erred')} | {each['stopped']} / {each['parked']} / {each['hangs']} | {share(each, 'right_or_stopped')} "
        f"| {each['turns']} | {each['tokens']:,} | {each['cost']:.3f} |"
        for name, each in found["blueprints"].items()
    ]
    lines = [
        f"{facts['cores']} cores, Linux {facts['kernel']}, Python {facts['python']}; load {found['load'][0]} → {found['load'][1]};",
        f"commit {', '.join(found['commits'])}; seed {people['seed']}; shares that err: developer {people['errs']:.0%},",
        f"missed {people['misses']:.0%}, of it by all together {people['alike']:.0%}, false alarms {people['alarms']:.0%}.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---" * len(HEAD) + "|",
        *rows,
        "",
    ]  # fmt: skip
    put(lines, begin=BEGIN, end=END)


if __name__ == "__main__":
    main()
