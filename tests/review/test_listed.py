"""A test that somebody names is looked up in what the checks listed: it passed there, or it is said why not."""

from __future__ import annotations

import json

import pytest

from nightmill.review.formats import Outcome, Told
from nightmill.review.listed import listing, read

TESTS: dict[str, Outcome] = {
    "tests/test_a.py::TestA::test_one": "passed",
    "tests/test_a.py::TestA::test_two[1]": "passed",
    "tests/test_a.py::TestA::test_two[2]": "failed",
    "tests/test_a.py::TestB::test_three": "skipped",
    "tests/test_a.py::TestA::test_same": "passed",
    "tests/test_a.py::TestB::test_same": "passed",
}


def told(tests: dict[str, Outcome]) -> list[Told]:
    return [Told(id=name, outcome=outcome) for name, outcome in tests.items()]


@pytest.mark.parametrize(
    ("name", "amiss"),
    [
        ("tests/test_a.py::TestA::test_one", ""),
        ("test_one", ""),
        ("tests/test_a.py::test_one", ""),
        ("test_a.py::test_one", "no test"),
        ("tests/test_a.py::TestA::test_two", "the test 'tests/test_a.py::TestA::test_two[2]' ended as failed"),
        ("tests/test_a.py::TestA::test_two[1]", ""),
        ("test_three", "the test 'tests/test_a.py::TestB::test_three' ended as skipped"),
        ("tests/test_a.py::test_same", "no test"),
        ("", "no test"),
        ("tests/test_a.py", "no test"),
        ("::", "no test"),
    ],
)
def test_a_test_is_found_by_the_name_that_people_give_it_if_that_means_one(name: str, amiss: str) -> None:
    seen = read([{"tests": "blob", "passed": True}], lambda _: listing(told(TESTS)))

    assert seen.amiss(name).startswith(amiss)
    assert bool(seen.amiss(name)) is bool(amiss)


def test_of_two_checks_that_ran_one_test_the_worse_counts() -> None:
    lists = {"a": listing(told({"t::x": "passed"})), "b": listing(told({"t::x": "error"}))}
    for order in (["a", "b"], ["b", "a"]):
        assert read([{"tests": each} for each in order], lists.__getitem__).amiss("t::x").endswith("ended as error")


def test_a_report_that_is_not_believed_lists_nothing_and_is_not_the_same_as_none() -> None:
    empty = read([{"tests": "blob", "passed": True}], lambda _: listing(()))

    assert empty.amiss("t::x") == "no test 't::x' is named by the checks"
    assert read([{"tests": "", "passed": True}], str.encode).amiss("t::x") == ""
    assert "did not all pass" in read([{"tests": "", "passed": False}], str.encode).amiss("t::x")
    assert read([], str.encode).amiss("t::x"), "where nothing ran nothing is shown"


def test_a_list_has_a_bound_and_what_finds_no_room_is_not_known() -> None:
    names: dict[str, Outcome] = {f"tests/test_ü.py::test_{number:05d}": "passed" for number in range(2000)}
    body = listing(told(names), largest=10_000)

    assert len(body) < 11_000
    assert len(json.loads(body)["passed"]) in range(100, 400)
    seen = read([{"tests": "blob"}], lambda _: body)
    assert seen.amiss("test_00000") == ""
    assert seen.amiss("test_01999")
