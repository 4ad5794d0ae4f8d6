"""The cases: from a seed, so many of each misquotation, over packages alike and over small and large files."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bench.edits.misquotes import FORMS
from bench.edits.mistakes import MISTAKES
from bench.edits.quote import Case, Quote, quote
from bench.edits.sources import Pair

__all__ = ["LARGE", "MUTATIONS", "cases"]

LARGE = 1000
"""Lines from which on a file is a large one: half of the cases, where a package has any."""
MOST_TRIES = 12_000
AROUND = {"elided": 5, "elided_in_new": 5, "imports_reordered": 4, "stale_around": 3, "left_out": 2, "joined": 3}
MUTATIONS: dict[str, Callable[[Quote], Case | None]] = {each.__name__: each for each in (*FORMS, *MISTAKES)}


def cases(pairs: Sequence[Pair], *, seed: int, each: int) -> Iterator[Case]:
    """*each* cases of every misquotation, or as many as there are occasions for."""
    shelves: dict[str, tuple[list[Pair], list[Pair]]] = defaultdict(lambda: ([], []))
    for pair in pairs:
        package = pair.name.partition("@" if pair.name.startswith("nightmill@") else "/")[0]
        shelves[package][len(pair.lines) >= LARGE].append(pair)
    for name, mutation in MUTATIONS.items():
        rng = random.Random(f"{seed} {name}")
        seen: set[tuple[str, str]] = set()
        for _ in range(MOST_TRIES):
            if len(seen) >= each:
                break
            sizes = shelves[rng.choice(sorted(shelves))]
            pair = rng.choice(sizes[bool(sizes[1]) and (not sizes[0] or rng.random() < 0.5)])
            found = quote(pair, rng.choice(pair.hunks), rng, around=AROUND.get(name, 0))
            made = mutation(found) if found else None
            if made and (made.name, made.old) not in seen and _is_misquote(made, name):
                seen.add((made.name, made.old))
                yield replace(made, mutation=name)


def _is_misquote(case: Case, name: str) -> bool:
    """Whether the text says what is meant: what is by chance exactly another place of the file is no misquote."""
    if case.old == case.new or (case.truth == case.text):
        return False
    if name == "elided_in_new" or case.truth is None or case.text.count(case.old) != 1:
        return True
    return case.text.replace(case.old, case.new) == case.truth
