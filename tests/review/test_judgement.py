"""Reading reports and claims: pure functions, hostile input."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from nightmill.review import Baseline, Check, CheckResult, Evidence, Failure, Verdict
from nightmill.review.evidence import Results, collect, match
from nightmill.review.formats import Outcome, Told, tidy
from nightmill.review.formats.junit import parse
from nightmill.spec import Criterion

IDS = (
    "tests/test_date.py::TestLeap::test_century",
    "tests/test_date.py::test_plain",
    "tests/api/test_date.py::test_plain",
    "tests/test_date.py::test_month[a.b/c-1]",
    "tests/test_date.py::test_month[x]",
)


def report(cases: str) -> bytes:
    return f"<testsuites><testsuite>{cases}</testsuite></testsuites>".encode()


def test_report_gives_ids_outcomes_and_the_end_of_each_message() -> None:
    tests = parse(
        report(
            '<testcase classname="tests.test_a.TestB" name="test_c[1]" file="tests/test_a.py"/>'
            '<testcase classname="tests.test_a" name="test_d" file="tests/test_a.py">'
            f'<failure message="boom">{"x" * 9000}the end</failure></testcase>'
            '<testcase classname="pkg.Case" name="runs"><skipped message="later"/></testcase>'
            '<testcase classname="" name="tests.test_broken">'
            '<error message="collection failure">no module</error></testcase>'
        )
    ).tests
    outcomes = {name: test.outcome for name, test in tests.items()}
    assert outcomes == {
        "tests/test_a.py::TestB::test_c[1]": "passed",
        "tests/test_a.py::test_d": "failed",
        "pkg.Case::runs": "skipped",
        "tests.test_broken": "error",
    }
    message = tests["tests/test_a.py::test_d"].message
    assert message.endswith("the end")
    assert len(message) < 5000


def test_test_told_twice_counts_with_its_worse_outcome_and_addresses_do_not_matter() -> None:
    tests = parse(
        report(
            '<testcase classname="a" name="t[&lt;X object at 0x7f00aa11bb22&gt;]"><failure message="m"/></testcase>'
            '<testcase classname="a" name="t[&lt;X object at 0x7f99999999ff&gt;]"/>'
        )
    ).tests
    assert {name: test.outcome for name, test in tests.items()} == {"a::t[<X object at 0x…>]": "failed"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<html/>",
        b'<!DOCTYPE t [<!ENTITY a "b">]><testsuites/>',
        b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuites>&b;</testsuites>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE t SYSTEM "x"><testsuites/>'.encode("utf-16"),
        report("<testcase") + b"\xff\xfe",
        b"<testsuites>" * 50_000,
        b"<testsuites>" + b" " * (64 << 20),
    ],
    ids=["empty", "text", "html", "entity", "bomb", "utf-16", "torn", "deep", "huge"],
)
def test_report_that_nobody_should_read_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="the report"):
        parse(body)


def test_long_text_keeps_its_end_and_loses_terminal_codes() -> None:
    assert tidy("\x1b[31mred\x1b[0m\x00") == "red"
    assert tidy("a" * 100 + "end", limit=10).endswith("aaaaaaaend")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("tests/test_date.py::TestLeap::test_century", IDS[:1]),
        ("tests.test_date.TestLeap.test_century", IDS[:1]),
        ("TestLeap::test_century", IDS[:1]),
        ("test_century", IDS[:1]),
        ("./tests/test_date.py::test_plain", IDS[1:2]),
        ("test_plain", ()),
        ("api/test_date.py::test_plain", IDS[2:3]),
        ("test_month", IDS[3:]),
        ("tests/test_date.py::test_month[a.b/c-1]", IDS[3:4]),
        ("century", ()),
        ("", ()),
        ("...", ()),
    ],
)
def test_claim_finds_the_tests_that_it_names_and_no_others(words: str, found: tuple[str, ...]) -> None:
    assert match(words, IDS) == found


def judge(claim: str, **outcomes: Outcome) -> Evidence:
    tests = {
        name: Told(id=name, outcome=outcomes.get(name.partition("::")[2], "passed"))
        for name in ("t.py::test_a", "t.py::test_b")
    }
    checks = (Check(name="lint", command="ruff check ."), Check(name="types", command="mypy"))
    results = (
        CheckResult(check="lint", tree="t", exit=0, passed=True),
        CheckResult(check="types", tree="t", exit=1, passed=False),
    )
    found = Results(checks=checks, results=results, tests=tests)
    criterion = Criterion(id="SC-001", text="it holds", line=1)
    return collect((criterion,), (("SC-001", claim),), found=found)[0]


def test_evidence_is_shown_only_by_what_ran_and_passed() -> None:
    assert judge("t.py::test_a").state == "shown"
    assert judge("t.py::test_a, test_b").by == ("t.py::test_a", "t.py::test_b")
    assert judge("`ruff check .`").by == ("lint",)
    assert judge("mypy").state == "not shown"
    assert judge("all tests pass").state == "claimed"
    assert judge("t.py::test_z").state == "claimed"
    worse = judge("t.py::test_a and t.py::test_b", test_b="failed")
    assert (worse.state, worse.note) == ("not shown", "named test did not pass on this tree: t.py::test_b (failed)")
    assert judge("test_b", test_b="skipped").state == "not shown"


def test_values_survive_the_store() -> None:
    result = CheckResult(
        check="tests", tree="t", exit=1, passed=False, failures=(Failure(id="a", message="m", kind="old"),),
        counts={"passed": 1}, missing=("b",), output="blob", stopped="timeout", seconds=1.5,
    )  # fmt: skip
    verdict = Verdict(
        tree="t", base_tree="b", passed=False, results=(result,), reasons=("r",),
        evidence=(Evidence(criterion="c", text="t", state="claimed", by=("x",), note="n"),),
    )  # fmt: skip
    baseline = Baseline(tree="t", failing={"tests": ("a",)}, flaky={}, passing={"tests": ("b", "")})
    for value in (verdict, baseline, result):
        adapter: TypeAdapter[Any] = TypeAdapter(type(value))
        assert adapter.validate_json(adapter.dump_json(value)) == value
