"""The work of a turn in calls of the worker's own functions: the same on each machine, however busy.

Times of single turns spread by a third on a machine that others use, so a loop that got five percent dearer hides in
them. Our own calls do not: runs of one code differ by three in a thousand. All calls differ by seven in a hundred, for
what polls does so as long as the run takes. What calls do not see is one that takes longer, such as a larger regular
expression: for that there are the times of `bench.turns`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from bench import counted
from bench.figures import Figure, spread
from bench.stage import Stage, until
from bench.turns import BOUNDS, script

__all__ = ["figures"]

AT = 20, 120, 220
"""Turns of the runs: the calls of a turn are the difference of two runs, so that start and end do not count."""


def figures(stage: Stage) -> Iterator[Figure]:
    """Calls per turn early and late in a run."""
    runs = [_calls(stage, turns) for turns in AT]
    for before, after, first, last in zip(runs, runs[1:], AT, AT[1:], strict=False):
        each = {name: (after[name] - before[name]) / (last - first) for name in after}
        ours = sum(calls for name, calls in each.items() if name.startswith("nightmill"))
        detail = f"with libraries {sum(each.values()):,.0f}, of them {each['']:,.0f} into C"
        name = f"calls of our own functions per turn, turns {first}–{last}"
        yield Figure(name=name, unit="", values=spread([ours]), detail=detail)


def _calls(stage: Stage, turns: int) -> Counter[str]:
    """Calls per module of a worker that does one run of so many *turns*, from its start to its end."""
    stage.renew()
    stage.settings = {**stage.settings, **BOUNDS}
    file = stage.folder / f"calls-{turns}.json"
    with stage.model(script(turns)) as model:
        worker = stage.start("worker", through=(str(counted.PROGRAM), str(file)))
        try:
            until(stage.beats, what="a worker")
            run = stage.ask(model)
            assert run.wait(240) == 0, f"the run failed: see {stage.folder / 'said.log'}"
        finally:
            worker.terminate()
            worker.wait(30)
    return Counter(json.loads(file.read_text()))
