"""A failing test is told from one that comes and goes, and being known for that hides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nightmill.estate.baseline import measure
from nightmill.review import Baseline, Check, Flake, run_check
from nightmill.review.flake import LEVEL, REPEATS, explained, learned, merge, signature, tail, told, wilson

InSandbox = Callable[[Callable[[Any], Any]], None]
CHECK = Check(name="tests", command="python -m pytest", format="pytest", seconds=60.0)
MOODY = "tests/test_moody.py::test_moody"


def test_interval_and_tail_are_those_of_the_textbook() -> None:
    low, high = wilson(1, 3)
    assert (round(low, 3), round(high, 3)) == (0.061, 0.792)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0
    assert round(wilson(0, 10)[1], 3) == 0.278
    assert tail(0, 4, 0.5) == 1.0
    assert tail(4, 4, 0.5) == 0.0625
    assert round(tail(2, 4, 0.1), 4) == 0.0523


def test_known_rate_explains_what_it_explains_and_no_more() -> None:
    rare = Flake(failed=2, runs=200)
    assert explained(rare, failed=0, repeats=2)
    assert explained(rare, failed=1, repeats=2)
    assert not explained(rare, failed=2, repeats=2)
    assert explained(Flake(failed=1, runs=2), failed=4, repeats=4)
    assert tail(2, 2, 0.01) < LEVEL


def test_signature_leaves_out_what_varies() -> None:
    one = "E   AssertionError: took 0.31 s, '/tmp/a1/x' at 0x7f001122\ntests/a.py:3: AssertionError"
    other = "E   AssertionError: took 0.45 s, '/tmp/b2/y' at 0x7fffffff\ntests/a.py:9: AssertionError"
    assert signature(one) == signature(other)
    assert signature(one) != signature("E   KeyError: 'x'")


def test_knowledge_adds_up_and_is_bounded() -> None:
    many = Flake(failed=1, runs=1, said=tuple(f"e{n}" for n in range(50)))
    both = merge({"a": Flake(failed=1, runs=3, said=("x",))}, {"a": many, "b": many})
    assert (both["a"].failed, both["a"].runs) == (2, 4)
    assert len(both["a"].said) <= 8
    base = Baseline(tree="b", failing={}, flaky={}, passing={}, flakes={"tests": {"a": Flake(failed=1, runs=3)}})
    assert learned(base, {"tests": {"a": Flake(failed=0, runs=1)}}).flakes["tests"]["a"] == Flake(failed=1, runs=4)


def moody(pattern: str, message: str = "slow") -> str:
    """A test whose runs pass and fail as *pattern* says, beginning anew after its end."""
    return f"""
import pathlib
def test_moody():
    mark = pathlib.Path("/tmp/runs")
    run = len(mark.read_text()) if mark.exists() else 0
    mark.write_text("x" * (run + 1))
    assert "{pattern}"[run % {len(pattern)}] == "p", "{message}"
"""


@pytest.mark.parametrize(
    ("pattern", "known", "kind", "runs"),
    [
        ("fpp", None, "flaky", (1, 3)),
        ("ff", None, "new", (2, 2)),
        ("fpf", None, "new", (2, 3)),
        ("fpp", Flake(failed=5, runs=20), "flaky", (1, 3)),
        ("fpfp", Flake(failed=5, runs=20), "flaky", (2, 4)),
        ("f", Flake(failed=5, runs=20), "new", (5, 5)),
        ("ff", Flake(failed=1, runs=500), "new", (2, 2)),
        ("f", Flake(failed=9, runs=10), "new", (1 + REPEATS, 1 + REPEATS)),
    ],
    ids=[
        "comes and goes",
        "steady",
        "too often",
        "known",
        "known, twice",
        "broken now",
        "known as rare",
        "never passes",
    ],
)
def test_failure_is_repeated_until_it_is_known(
    in_sandbox: InSandbox, pattern: str, known: Flake | None, kind: str, runs: tuple[int, int]
) -> None:
    flakes = {"tests": {MOODY: known}} if known else {}
    before = Baseline(tree="b", failing={}, flaky={}, passing={"tests": (MOODY, "")}, flakes=flakes)

    async def story(bench: Any) -> None:
        tree = await bench.commit({"tests/test_moody.py": moody(pattern)})
        ran = await run_check(bench.workspace, CHECK, tree=tree, baseline=before, progress=lambda _: None)
        assert [(each.kind, each.failed, each.runs) for each in ran.result.failures] == [(kind, *runs)]
        assert ran.result.passed == (kind == "flaky")
        assert (MOODY in ran.result.flakes) == (kind == "flaky")

    in_sandbox(story)


def test_base_says_how_a_flake_fails_and_another_message_is_new(in_sandbox: InSandbox) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit({"tests/test_moody.py": moody("fpp")})
        base = await measure(bench.workspace, (CHECK,), tree=tree, progress=lambda _: None)
        found = base.flakes["tests"][MOODY]
        assert found.failed
        assert found.runs == 1 + REPEATS
        assert "slow" in found.said[0]

        await bench.shell("rm /tmp/runs")
        tree = await bench.commit({"tests/test_moody.py": moody("fpp") + "\n"})
        same = await run_check(bench.workspace, CHECK, tree=tree, baseline=base, progress=lambda _: None)
        assert [each.kind for each in same.result.failures] == ["flaky"]

        await bench.shell("rm /tmp/runs")
        tree = await bench.commit({"tests/test_moody.py": moody("fpp", "the sum is wrong")})
        other = await run_check(bench.workspace, CHECK, tree=tree, baseline=base, progress=lambda _: None)
        assert [each.kind for each in other.result.failures] == ["new"]

    in_sandbox(story)


def test_a_rate_is_told_with_how_sure_it_is() -> None:
    assert told(2, 4) == "failed in 2 of 4 runs on this tree: a rate between 15% and 85% (95 %)"
    assert told(0, 0) == ""
