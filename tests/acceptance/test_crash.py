"""Everything is killed in the midst of a run, and a new worker brings it to the same end: a sample of `bench.crash`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import crash
from bench.stage import Model, Stage
from tests.acceptance.adopting import adopting

pytestmark = pytest.mark.slow

MOMENTS = [
    crash.Moment("prepare", 0.6),
    crash.Moment("work", 0.55),
    crash.Moment("prove again", 0.5),
    crash.Moment("change", 0.5),
]


@pytest.fixture(scope="module")
def usual(built: Stage) -> Iterator[tuple[Model, crash.Unharmed]]:
    """The model, and what the run does when nobody harms it."""
    with built.model(crash.SCRIPT, "--latency", str(crash.LATENCY)) as model:
        with adopting():
            unharmed = crash.unharmed(built, model)
        yield model, unharmed


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.phase.replace(" ", "-"))
def test_a_run_whose_every_process_is_killed_ends_as_if_nothing_had_happened(
    stage: Stage, usual: tuple[Model, crash.Unharmed], moment: crash.Moment
) -> None:
    model, unharmed = usual

    blow = crash.strike(stage, model, moment, unharmed, idle=0.5)

    assert blow.killed > 0
    assert blow.faults == []


def test_the_kills_of_the_bench_are_spread_over_every_phase_and_the_same_for_the_same_seed() -> None:
    chosen = crash.moments(50, seed=1)

    assert chosen == crash.moments(50, seed=1)
    assert len(chosen) == 50
    assert {moment.phase for moment in chosen} == set(crash.PHASES)
