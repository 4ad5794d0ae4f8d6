"""A proven piece of work to land."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nightmill.change import Landing
from nightmill.plan import Task
from nightmill.review import CheckResult, Evidence, Failure, Verdict

TREE, BASE_TREE, BASE = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture
def landing() -> Callable[..., Landing]:
    """Make a landing; what is named replaces what is usual."""

    def make(*, tree: str = TREE, evidence: tuple[Evidence, ...] | None = None, **named: Any) -> Landing:
        failures = (
            Failure(id="tests/test_old.py::test_old", message="boom", kind="old"),
            Failure(id="tests/test_old.py::test_moody", message="late", kind="flaky", failed=2, runs=4),
        )
        usual = (
            Evidence(criterion="AC1", text="It says hello", state="shown", by=("tests/test_app.py::test_hello",)),
            Evidence(criterion="AC2", text="It never shouts", state="not shown", note="nobody said what shows it"),
        )
        result = CheckResult(
            check="test",
            tree=tree,
            exit=1,
            passed=True,
            failures=failures,
            counts={"passed": 7, "failed": 1},
            seconds=1.5,
        )
        values: dict[str, Any] = {
            "run": "rabc1234-1",
            "project": "shop",
            "task": Task(id="T1", title="Say hello to people by their name", instruction="do", criteria=("AC1", "AC2")),
            "spec": "Greetings",
            "digest": "d" * 64,
            "base": BASE,
            "target": "main",
            "incoming": "refs/nightmill/incoming/rabc1234-1",
            "verdict": Verdict(
                tree=tree,
                base_tree=BASE_TREE,
                passed=True,
                results=(result,),
                reasons=(),
                evidence=usual if evidence is None else evidence,
            ),
            "proof": "e" * 64,
            "summary": "Added a greeting.\n\n- app.py says hello\n- a test shows it",
            "when": 1_700_000_000,
            "model": "scripted:one",
            "turns": 4,
            "tokens": 12345,
            "cost": 0.0123,
        }
        return Landing(**{**values, **named})

    return make
