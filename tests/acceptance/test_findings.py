"""A finding of QA is settled by its own test, which the engine saw pass, and not by what anybody says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.stage import SCRIPTED, Stage, descendants, shell
from tests.acceptance.adopting import adopting
from tests.acceptance.test_process import (
    CASE,
    EVIDENCE,
    OLD,
    PLANNED,
    QA_CASE,
    RIGHT,
    WRONG,
    edit,
    judged,
    over,
    role,
    said,
    script,
    told,
)

pytestmark = pytest.mark.slow

REPORTED = """\
import sys
import unittest
from pathlib import Path


class Told(unittest.TestResult):
    lines = []

    def stopTest(self, test):
        name = test.id().rpartition(".")
        bad = any(each is test for each, _ in self.failures + self.errors)
        inside = "<failure message='it fails'/>" if bad else ""
        self.lines.append(f"<testcase file='test_prices.py' classname='{name[0]}' name='{name[2]}'>{inside}</testcase>")


told = Told()
unittest.defaultTestLoader.discover(".").run(told)
Path("report.xml").write_text(f"<testsuites><testsuite>{''.join(told.lines)}</testsuite></testsuites>")
sys.exit(not told.wasSuccessful())
"""
CHECKS = "language: python\ninstall: []\nchecks:\n- {name: tests, run: python3 check.py, format: junit, report: report.xml}\n"


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose checks name their tests."""
    if not SCRIPTED.is_file():
        pytest.skip(f"the scripted model is not at {SCRIPTED} (set NIGHTMILL_SHARED)")
    with adopting():
        before = list(descendants())
        stage = Stage(tmp_path / "s")
        stage.settings = {"ANTHROPIC_API_KEY": "key"}
        stage.build(**{"check.py": REPORTED, "nightmill.yaml": CHECKS, ".gitignore": "report.xml\n"})
        yield stage
        stage.end(but=before)


def test_a_finding_whose_test_was_taken_away_is_open_although_qa_and_the_checks_are_content(named: Stage) -> None:
    finding = {
        "id": "Q1",
        "severity": "major",
        "title": "All of it",
        "test": "test_prices.py::test_all_of_it",
        "expected": "0",
        "happened": "-70",
    }
    fixed = {"answers": [{"id": "Q1", "state": "fixed", "proof": "test_discount"}]}
    gone = {"id": "Q1", "title": "All of it", "state": "fixed", "by": "test_discount"}
    hide = shell("sed -i '/test_all_of_it/,$d' test_prices.py; python3 -m unittest -q")
    mend = shell(
        f"sed -i 's/, 20)$/, 27)/' test_prices.py; printf '{QA_CASE}' >> test_prices.py; python3 -m unittest -q"
    )
    developer = (
        edit(OLD, WRONG),
        shell(f"printf '{CASE.replace('27', '20')}' >> test_prices.py; python3 -m unittest -q"),
        over("Added.", evidence=EVIDENCE),
        hide,
        over(
            "Mended. test_all_of_it of test_prices.py is gone, because test_discount shows the same.",
            evidence=EVIDENCE,
            output=fixed,
        ),
        edit(WRONG, RIGHT),
        mend,
        over("Mended, really.", evidence=EVIDENCE, output=fixed),
    )
    attack = shell(f"printf '{QA_CASE}' >> test_prices.py; python3 -m unittest -q")
    content: dict[str, Any] = {"findings": [], "settled": [gone], "held": ["all"]}
    qa = (
        attack,
        over("Broken.", output={"findings": [finding], "settled": [], "held": []}),
        over("Held.", output=content),
        over("Held.", output=content),
    )
    others = (
        role("architect", judged(approved=True), sees="You judge the whole change"),
        role("qa", judged(approved=True), sees="You judge the whole change"),
        role("reviewer", judged(approved=True)),
        role("architect", over("Planned.", output=PLANNED), sees="how this task is best done"),
        role("qa", *qa),
    )
    with named.model(script(developer, *others)) as model:
        assert named.ask(model, "--blueprint", "deliver").wait(180) == 0, said(named)

    answers = [each.reason for each in told(named, "sent_back") if each.step.endswith("/answer")]
    assert len(answers) == 2
    assert "no test 'test_prices.py::test_all_of_it' is named by the checks" in answers[1]
    verdicts = [each for each in told(named, "verdict_given") if each.passed]
    assert len(verdicts) == 3, "the checks were content with the tree that hid the test"
    (ended,) = (each for each in told(named, "run_done") if each.outputs)
    assert [(each["id"], each["state"], each["by"]) for each in ended.outputs["settled"]] == [
        ("Q1", "fixed", "test_prices.py::test_all_of_it")
    ]
    (pull,) = named.pulls()
    assert b"100 - discount" in named.hub.show(pull["head"], "prices.py")
    listed = [each.result["tests"] for each in told(named, "check_finished")]
    assert all(len(each) == 64 for each in listed), "the ledger names the list and does not hold it"
