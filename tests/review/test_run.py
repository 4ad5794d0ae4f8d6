"""Checks that really run, in a real sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nightmill.errors import SandboxError
from nightmill.review import Baseline, Case, Check, CheckResult, prove, run_check
from nightmill.review.compare import WHOLE
from nightmill.review.run import once
from nightmill.spec import Criterion

InSandbox = Callable[[Callable[[Any], Any]], None]

TESTS = Check(name="tests", command="python -m pytest", format="pytest", seconds=60.0)

GOOD = """
import pytest

class TestSum:
    def test_adds(self):
        assert 1 + 1 == 2

@pytest.mark.parametrize("n", [1, 2])
def test_small(n):
    assert n < 3
"""

BAD = GOOD.replace("n < 3", "n < 2")
ADDS, ONE, TWO = (
    "tests/test_sum.py::TestSum::test_adds",
    "tests/test_sum.py::test_small[1]",
    "tests/test_sum.py::test_small[2]",
)


def known(*, passing: Sequence[str] = (), failing: Sequence[str] = ()) -> Baseline:
    return Baseline(tree="b", failing={"tests": tuple(failing)}, flaky={}, passing={"tests": tuple(passing)})


ALL = known(passing=(ADDS, ONE, TWO, WHOLE))


def quiet(_: object) -> None:
    """Nobody listens."""


def test_result_names_each_test_as_pytest_does_and_is_told_apart_from_the_baseline(in_sandbox: InSandbox) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit({"tests/test_sum.py": BAD})
        ran = await run_check(bench.workspace, TESTS, tree=tree, baseline=ALL, progress=quiet)
        assert set(ran.tests) == {ADDS, ONE, TWO}
        assert not ran.result.passed
        assert [(each.id, each.kind) for each in ran.result.failures] == [(TWO, "new")]
        assert "assert 2 < 2" in ran.result.failures[0].message
        assert ran.result.counts == {"passed": 2, "failed": 1, "error": 0, "skipped": 0}

        before = known(passing=(ADDS, ONE), failing=(TWO,))
        ran = await run_check(bench.workspace, TESTS, tree=tree, baseline=before, progress=quiet)
        assert ran.result.passed
        assert ran.result.failures[0].kind == "old"

    in_sandbox(story)


def test_failure_that_does_not_come_back_is_flaky_only_for_a_test_that_the_baseline_knew(in_sandbox: InSandbox) -> None:
    once_only = """
import pathlib
def test_moody():
    mark = pathlib.Path("/tmp/seen")
    seen = mark.exists()
    mark.touch()
    assert seen
"""

    async def story(bench: Any) -> None:
        tree = await bench.commit({"tests/test_moody.py": once_only})
        moody = "tests/test_moody.py::test_moody"
        ran = await run_check(bench.workspace, TESTS, tree=tree, baseline=known(passing=(moody, "")), progress=quiet)
        assert ran.result.passed
        assert [(each.id, each.kind) for each in ran.result.failures] == [(moody, "flaky")]

        await bench.shell("rm /tmp/seen")
        ran = await run_check(bench.workspace, TESTS, tree=tree, baseline=known(passing=(ADDS,)), progress=quiet)
        assert [(each.id, each.kind) for each in ran.result.failures] == [(moody, "new")]
        assert not ran.result.passed

    in_sandbox(story)


@pytest.mark.parametrize(
    ("files", "command", "reason"),
    [
        ({"tests/test_sum.py": GOOD.replace("class TestSum", "class Sum")}, "python -m pytest", "lost 1 test"),
        (
            {"tests/test_sum.py": GOOD.replace("    def test_adds", "    @pytest.mark.skip\n    def test_adds")},
            "python -m pytest",
            "lost 1 test",
        ),
        ({"readme": "no tests"}, "python -m pytest || true", "lost 3 test"),
        ({"readme": "no tests"}, "exit 0", "wrote no report"),
        ({"tests/test_sum.py": "import nothing_there"}, "python -m pytest", "nothing_there"),
        ({"tests/test_sum.py": BAD}, "python -m pytest || true", "1 new failure"),
        ({"tests/test_sum.py": GOOD}, "python -m pytest; exit 9", "exit status 9"),
        ({"tests/test_sum.py": GOOD, "conftest.py": "import os; os._exit(0)"}, "python -m pytest", "no report"),
        ({"tests/test_sum.py": GOOD}, "no-such-program", "exit status 127"),
    ],
    ids=["deleted", "skipped", "empty", "silent", "broken", "hidden", "unexplained", "killed", "absent"],
)
def test_what_looks_like_success_without_its_tests_does_not_pass(
    in_sandbox: InSandbox, files: dict[str, str], command: str, reason: str
) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit(files)
        check = Check(name="tests", command=command, format="pytest", seconds=60.0)
        case = Case(tree=tree, base_tree="b", checks=(check,), baseline=ALL)
        verdict = await prove(bench.workspace, case, tell=quiet, keep=lambda _: "blob", progress=quiet)
        assert not verdict.passed
        assert reason in "\n".join(verdict.reasons)

    in_sandbox(story)


def test_file_that_cannot_be_imported_hides_no_other(in_sandbox: InSandbox) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit({"tests/test_sum.py": GOOD, "tests/test_broken.py": "import nothing_there"})
        ran = await run_check(bench.workspace, TESTS, tree=tree, baseline=None, progress=quiet)
        assert [each.id for each in ran.result.failures] == ["tests/test_broken.py"]
        assert ran.tests[ADDS].outcome == "passed"

    in_sandbox(story)


def test_check_that_hangs_is_stopped_and_says_so_and_one_that_floods_is_cut(in_sandbox: InSandbox) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit({"a": "a"})
        hang = Check(name="hang", command="echo started; sleep 600", seconds=2.0)
        flood = Check(name="flood", command="head -c 100000000 /dev/zero | tr '\\0' x; exit 3", seconds=120.0)
        told: list[CheckResult] = []
        case = Case(tree=tree, base_tree="b", checks=(hang, flood), baseline=known())
        kept: dict[str, bytes] = {}

        def keep(body: bytes) -> str:
            kept[str(len(kept))] = body
            return str(len(kept) - 1)

        verdict = await prove(bench.workspace, case, tell=told.append, keep=keep, progress=quiet)
        assert [result.stopped for result in told] == ["timeout", told[1].stopped]
        assert "did not end within its limit" in verdict.reasons[0]
        assert "started" in verdict.reasons[0]
        assert len(kept["1"]) < 2 << 20
        assert len("".join(verdict.reasons)) < 10_000

    in_sandbox(story)


def test_report_in_the_tree_says_nothing_of_this_run(in_sandbox: InSandbox) -> None:
    fake = '<testsuites><testsuite><testcase classname="a" name="b"/></testsuite></testsuites>'

    async def story(bench: Any) -> None:
        await bench.commit({"report.xml": fake})
        check = Check(name="js", command="true", format="junit", report="report.xml", seconds=60.0)
        ran = await once(bench.workspace, check)
        assert "wrote no report" in ran.messages[WHOLE]
        write = Check(
            name="js", command=f"echo '{fake}' > report.xml", format="junit", report="report.xml", seconds=60.0
        )
        assert set((await once(bench.workspace, write)).tests) == {"a::b"}

    in_sandbox(story)


def test_proof_refuses_a_workspace_that_holds_something_else(in_sandbox: InSandbox) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit({"tests/test_sum.py": GOOD})
        await bench.shell("echo 'def test_x(): pass' > repo/tests/test_more.py")
        case = Case(tree=tree, base_tree="b", checks=(TESTS,), baseline=ALL)
        with pytest.raises(SandboxError, match="does not hold tree"):
            await prove(bench.workspace, case, tell=quiet, keep=lambda _: "", progress=quiet)

    in_sandbox(story)


def test_verdict_passes_and_shows_the_criteria_whose_named_tests_passed(in_sandbox: InSandbox) -> None:
    async def story(bench: Any) -> None:
        tree = await bench.commit({"tests/test_sum.py": GOOD})
        lint = Check(name="lint", command="touch left-over; true", seconds=60.0)
        criteria = tuple(Criterion(id=f"AC{n}", text=f"criterion {n}", line=n) for n in range(1, 5))
        claims = (
            ("ac1", "tests/test_sum.py::TestSum::test_adds passes"),
            ("AC2", "see `test_small`"),
            ("AC3", "I ran it and it works"),
        )
        case = Case(tree=tree, base_tree="b", checks=(lint, TESTS), baseline=ALL, criteria=criteria, claims=claims)
        verdict = await prove(bench.workspace, case, tell=quiet, keep=lambda _: "blob", progress=quiet)
        assert verdict.passed, verdict.reasons
        assert verdict.tree == tree
        assert [(each.state, each.by) for each in verdict.evidence] == [
            ("shown", (ADDS,)),
            ("shown", (ONE, TWO)),
            ("claimed", ()),
            ("not shown", ()),
        ]

    in_sandbox(story)
