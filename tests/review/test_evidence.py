"""What shows a criterion: a check as a whole, a test, lines that stand in the tree, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nightmill.review import Baseline, Case, Check, CheckResult, Evidence, Failure, prove
from nightmill.review.evidence import Results, about_all, collect
from nightmill.review.formats import Told
from nightmill.review.quote import quoted, verified
from nightmill.spec import Criterion

InSandbox = Callable[[Callable[[Any], Any]], None]

CHECKS = (
    Check(name="tests", command="python -m pytest", format="pytest"),
    Check(name="types", command="mypy", format="mypy"),
)
TEXT = "import os\n\n\ndef limit(size):\n    if size > 10:\n        raise ValueError(size)\n    return size\n\n\nX = 1\nX = 1\n"


def judge(text: str, claim: str, *failures: Failure, passed: bool = True) -> Evidence:
    results = (
        CheckResult(check="tests", tree="t", exit=0, passed=passed, failures=failures),
        CheckResult(check="types", tree="t", exit=0, passed=True),
    )
    tests = {name: Told(id=name, outcome="passed") for name in ("t.py::test_a", "t.py::test_b")}
    found = Results(checks=CHECKS, results=results, tests=tests, texts={"a.py": TEXT})
    return collect((Criterion(id="AC1", text=text, line=1),), (("AC1", claim),) if claim else (), found=found)[0]


@pytest.mark.parametrize(
    "text",
    [
        "All tests pass",
        "The existing test suite still passes.",
        "Every test passes on Python 3.11",
        "tests pass",
        "CI is green",
        "There are no regressions",
        "mypy passes",
        "All checks must pass",
        "Coverage does not drop below 90 %: it is at least what it was",
    ],
)
def test_criterion_about_all_is_known(text: str) -> None:
    assert about_all(text)


@pytest.mark.parametrize(
    "text",
    [
        "A test shows that the parser refuses an empty file",
        "The command prints the number of tests",
        "Passing a negative number raises ValueError",
        "The suite has a name",
        "Each user may pass a token",
    ],
)
def test_criterion_about_one_thing_is_not_about_all(text: str) -> None:
    assert not about_all(text)


def test_all_tests_pass_is_shown_by_whole_checks_and_by_no_test() -> None:
    shown = judge("All tests pass", "t.py::test_a")
    assert (shown.state, shown.by, shown.kind) == ("shown", ("t.py::test_a", "tests"), "check")
    assert judge("All tests pass", "").state == "shown"
    assert judge("mypy passes", "").by == ("types",)
    assert judge("X is 1, and all tests pass", "t.py::test_a").by == ("t.py::test_a", "tests")
    assert judge("All checks pass", "").by == ("tests", "types")
    worse = judge("All tests pass", "t.py::test_a", passed=False)
    assert (worse.state, worse.note) == ("not shown", "check 'tests' did not pass on this tree")
    old = judge("All tests pass", "t.py::test_a", Failure(id="t.py::test_z", message="m", kind="old"))
    assert old.state == "not shown"
    assert "test_z" in old.note


def test_quote_that_stands_in_the_tree_is_inspected_and_any_other_is_not_shown() -> None:
    found = judge("Sizes are limited", "a.py:5-6: `if size > 10:\n    raise ValueError(size)`")
    assert (found.state, found.kind, found.by) == ("inspected", "inspection", ("a.py:5-6",))
    assert found.quotes[0].text.startswith("if size")
    moved = judge("Sizes are limited", "see a.py:1 `raise ValueError(size)`")
    assert moved.by == ("a.py:6-6",)
    for claim, why in {
        "a.py:5-6 `if size > 11:`": "does not say what is quoted",
        "b.py:5-6 `if size > 10:`": "there is no file b.py",
        "a.py:5-6 `:`": "too short",
        "a.py:1-2 `return size, size`": "does not say",
        "a.py:5-6 `if size > 10:` and a.py:7 `return nothing`": "does not say",
    }.items():
        bad = judge("Sizes are limited", claim)
        assert bad.state == "not shown", claim
        assert why in bad.note
    assert judge("Sizes are limited", "t.py::test_a; a.py:5 `if size > 10:`").kind == "test"


def test_quotes_are_found_in_words_of_any_shape() -> None:
    text = 'see src/a.py:3-4 "return  size" and b/c.ts:7: `let x = 1`, and d.go:1–2\n```go\nfunc X() {\n}\n```'
    assert [(each.path, each.first, each.last) for each in quoted(text)] == [
        ("src/a.py", 3, 4),
        ("b/c.ts", 7, 7),
        ("d.go", 1, 2),
    ]
    twice = quoted("a.py:2 `X = 1  # or so`")
    assert next(iter(verified(twice, {"a.py": TEXT})))[1]
    assert quoted("`" * 50_000 + "a.py:1 `") == ()


def test_quote_is_looked_up_in_the_tree_and_not_in_what_a_check_wrote(in_sandbox: InSandbox) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit(
            {"a.py": TEXT, "test_a.py": "def test_a():\n    open('b.py', 'w').write('never in the tree')\n"}
        )
        criteria = tuple(Criterion(id=f"AC{n}", text="it is limited", line=n) for n in (1, 2))
        claims = (("AC1", "a.py:5 `if size > 10:`"), ("AC2", "b.py:1 `never in the tree`"))
        checks = (Check(name="tests", command="python -m pytest", format="pytest", seconds=60.0),)
        baseline = Baseline(tree="b", failing={}, flaky={}, passing={})
        case = Case(tree=tree, base_tree="b", checks=checks, baseline=baseline, criteria=criteria, claims=claims)
        verdict = await prove(bench.workspace, case, tell=lambda _: None, keep=lambda _: "", progress=lambda _: None)
        assert [each.state for each in verdict.evidence] == ["inspected", "not shown"]

    in_sandbox(story)
