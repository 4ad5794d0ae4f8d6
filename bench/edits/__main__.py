"""Give the cases to our finder and to five peers', keep the results in bench/edits.json, and write the tables of the docs.

python -m bench.edits                       the held-out seed, as `make bench-edits` does
python -m bench.edits --seed 1 --each 60 --show 20 --no-table       while one works on the finder

The finder was made better with the seeds 1 to 110 alone. Packages come from where pip and npm are set up to look.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.edits.cases import LARGE, MUTATIONS, cases
from bench.edits.peers import PEERS
from bench.edits.quote import Case
from bench.edits.sources import Pair, pairs
from bench.machine import machine
from bench.page import put
from nightmill.errors import ToolError
from nightmill.tool.landing import apply_edit

RESULTS = Path(__file__).resolve().parent.parent / "edits.json"
BEGIN, END = "<!-- bench: made by `make bench-edits` -->", "<!-- /bench-edits -->"
HELD_OUT = 20261128
OURS = "nightmill"
LINES = 20_000
GOAL_RIGHT, GOAL_SECONDS = 0.99, 0.020

Way = Callable[[str, str, str], str | None]


def main() -> None:
    options = asked()
    with folder(options.cache) as place:
        print("fetching the packages and their differences", flush=True)
        found = sorted(pairs(place), key=lambda pair: pair.name)
    made = list(cases(found, seed=options.seed, each=options.each))
    print(f"{len(made):,} cases of {len({case.mutation for case in made})} mutations", flush=True)
    ways: dict[str, Way] = {OURS: ours, **PEERS}
    results = {name: judged(name, way, made, show=options.show if name == OURS else 0) for name, way in ways.items()}
    kept = {
        "machine": machine(),
        "at": datetime.now(UTC).date().isoformat(),
        "seed": options.seed,
        "cases": len(made),
        "large": sum(case.text.count("\n") >= LARGE for case in made),
        "languages": dict(Counter(case.name.rsplit(":", 1)[0].rsplit(".", 1)[-1] for case in made).most_common(8)),
        "kinds": {name: kind_of(name, made) for name in MUTATIONS},
        "results": results,
        "formerly": formerly(made),
        "latency": latency(found, seed=options.seed),
    }
    print("\n".join(tables(kept)))
    if options.table:
        RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        put(tables(kept), begin=BEGIN, end=END)


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure where edits land.", prog="python -m bench.edits")
    parser.add_argument("--seed", type=int, default=HELD_OUT)
    parser.add_argument("--each", type=int, default=120, help="cases of each mutation")
    parser.add_argument("--cache", type=Path, help="folder in which downloads stay")
    parser.add_argument("--show", type=int, default=0, help="how many of our own failures are printed")
    parser.add_argument("--no-table", dest="table", action="store_false", help="keep and write nothing")
    return parser.parse_args()


@contextmanager
def folder(given: Path | None) -> Iterator[Path]:
    """Where downloads go: *given*, or a folder that is gone afterwards."""
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="nightmill-bench-") as name:
        yield Path(name)


def ours(text: str, old: str, new: str) -> str | None:
    try:
        return apply_edit(text, old=old, new=new).text
    except ToolError:
        return None


def judged(name: str, way: Way, made: Sequence[Case], *, show: int) -> dict[str, dict[str, int]]:
    """For each mutation, how often the result was right, right but for white space at line ends, a refusal, or wrong."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for case in made:
        result = way(case.text, case.old, case.new)
        verdict = judge(case, result)
        counts[case.mutation][f"{kind(case)} {verdict}"] += 1
        if verdict != "right" and show > 0:
            show -= 1
            print(f"--- {verdict}: {case.mutation}, {case.name}\n{case.old}\n--- new\n{case.new}", flush=True)
    total = sum(counts.values(), Counter[str]())
    print(f"{name}: {dict(total)}", flush=True)
    return {mutation: dict(counts[mutation]) for mutation in MUTATIONS}


def judge(case: Case, result: str | None) -> str:
    if result is None:
        return "refused" if case.resolvable and case.truth is not None else "right"
    if case.truth is None and not case.resolvable:
        return "right"
    if result == case.truth:
        return "right"
    return "near" if case.truth is not None and stripped(result) == stripped(case.truth) else "wrong"


def stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.split("\n")]


def kind(case: Case) -> str:
    """What is asked for: must be found, may be found, must be refused."""
    return "may" if not case.resolvable else "never" if case.truth is None else "must"


def kind_of(mutation: str, made: Sequence[Case]) -> str:
    return Counter(kind(case) for case in made if case.mutation == mutation).most_common(1)[0][0]


def formerly(made: Sequence[Case]) -> dict[str, int]:
    """Ours counted as before the rules of 2026-11-28: how many cases were of another class, and what came of all."""
    counts: Counter[str] = Counter(changed=sum(case.resolvable != case.formerly for case in made))
    for case in made:
        former = replace(case, resolvable=case.formerly)
        counts[f"{kind(former)} {judge(former, ours(case.text, case.old, case.new))}"] += 1
    return dict(counts)


def latency(found: Sequence[Pair], *, seed: int) -> dict[str, float]:
    """Milliseconds of processor for one edit in a file of 20,000 lines, over all mutations: 50th and 99th of a hundred."""
    cut = [replace(pair, lines=pair.lines[:LINES]) for pair in found if len(pair.lines) >= LINES]
    cut = [replace(pair, hunks=tuple(each for each in pair.hunks if each.end < LINES - 50)) for pair in cut]
    took: list[float] = []
    for case in cases([pair for pair in cut if pair.hunks], seed=seed, each=20):
        began = time.thread_time()
        ours(case.text, case.old, case.new)
        took.append((time.thread_time() - began) * 1000)
    took.sort()
    return {"count": len(took), "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)], "most": took[-1]}


def tables(kept: dict[str, Any]) -> Iterator[str]:
    facts, spent = kept["machine"], kept["latency"]
    languages = ", ".join(f"{count:,} {name}" for name, count in kept["languages"].items())
    seed = f"{kept['seed']}{', held out' if kept['seed'] == HELD_OUT else ''}"
    yield (
        f"{kept['cases']:,} cases, {kept['large']:,} of them in files of {LARGE:,} lines or more ({languages}); seed {seed}. "
        f"{facts['cores']} cores, Linux {facts['kernel']}, Python {facts['python']}; {kept['at']}."
    )
    yield ""
    yield "| finder | resolvable: exactly right (95 %) | right but for white space behind | refused | wrong | to be refused: applied |"
    yield "|---|---|---|---|---|---|"
    for name, counts in kept["results"].items():
        yield total_row(name, sum((Counter(each) for each in counts.values()), Counter[str]()))
    yield ""
    met = {True: "met", False: "**missed**"}
    must = sum((Counter(each) for each in kept["results"][OURS].values()), Counter[str]())
    share = must["must right"] / sum(value for key, value in must.items() if key.startswith("must"))
    wrong = sum(value for key, value in must.items() if key.endswith("wrong"))
    yield (
        f"Goals: ≥ {GOAL_RIGHT:.0%} of the resolvable cases exactly right ({share:.2%}, {met[share >= GOAL_RIGHT]}); no wrong "
        f"application ({wrong}, {met[wrong == 0]}); an edit in a file of {LINES:,} lines below {GOAL_SECONDS * 1000:.0f} ms of "
        f"processor at the 99th percentile ({spent['p99']:.1f} ms, median {spent['p50']:.1f}, most {spent['most']:.1f}, "
        f"{spent['count']:,} edits; {met[spent['p99'] < GOAL_SECONDS * 1000]})."
    )
    yield ""
    past = kept["formerly"]
    all_past = sum(value for key, value in past.items() if key.startswith("must"))
    yield (
        f"Counted by the former rules of what is resolvable, under which {past['changed']} of the cases are of another class: "
        f"{past['must right'] / all_past:.2%} of {all_past:,} exactly right, "
        f"{sum(value for key, value in past.items() if key.endswith('wrong'))} wrong."
    )
    yield ""
    yield f"| mutation | asked for | {' | '.join(kept['results'])} |"
    yield f"|---|---|{'---|' * len(kept['results'])}"
    asked_for = {"must": "found", "may": "either", "never": "refused"}
    for mutation, each in kept["kinds"].items():
        cells = (cell(counts[mutation]) for counts in kept["results"].values())
        yield f"| {mutation.replace('_', ' ')} | {asked_for[each]} | {' | '.join(cells)} |"


def total_row(name: str, total: Counter[str]) -> str:
    must = sum(value for key, value in total.items() if key.startswith("must"))
    never = sum(value for key, value in total.items() if key.startswith("never"))
    low, high = wilson(total["must right"], must)
    right = f"**{total['must right'] / must:.2%}** ({low:.2%} – {high:.2%})"
    applied = never - total["never right"]
    low, high = wilson(applied, never)
    rest = [f"{total[f'must {each}'] / must:.2%}" for each in ("near", "refused")]
    wrong = total["must wrong"] + total["may wrong"] + total["may near"]
    return f"| {name} | {right} | {' | '.join(rest)} | {wrong:,} | {applied:,} of {never:,} ({low:.1%} – {high:.1%}) |"


def cell(counts: dict[str, int]) -> str:
    """Right of all; wrong ones are named."""
    every, right, wrong = (
        sum(value for key, value in counts.items() if key.endswith(ending)) for ending in ("", "right", "wrong")
    )
    return f"{right}/{every}" + (f", {wrong} wrong" if wrong else "")


def wilson(hits: int, size: int) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's method."""
    if not size:
        return 0.0, 1.0
    z, share = 1.96, hits / size
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return max(0.0, middle - half), min(1.0, middle + half)


if __name__ == "__main__":
    main()
