"""What was found is settled by a test that passed or by a reason that was given, and by nobody's word."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightmill.line.process import functions
from nightmill.review.formats import Outcome, Told
from nightmill.review.listed import listing

Q1 = {"id": "Q1", "title": "Empty", "test": "t.py::q1"}
FIXED = {"id": "Q1", "state": "fixed", "proof": "t.py::other"}
ACCEPTED = {"id": "Q1", "state": "disputed", "by": "R4"}


def settle(ended: dict[str, Outcome], **values: Any) -> dict[str, Any]:
    body = listing(Told(id=name, outcome=outcome) for name, outcome in ended.items())
    results = [{"check": "tests", "passed": True, "tests": "blob"}]
    return functions.call("findings.settle", {"results": results, **values}, read=lambda _: body)


def before(*open_: dict[str, Any], settled: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"open": list(open_), "settled": list(settled)}


def test_what_is_found_is_open() -> None:
    assert settle({}, findings=[Q1]) == before(Q1)
    assert functions.call("findings.settle", {}, read=str.encode) == before()


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        ({"t.py::q1": "passed"}, ""),
        ({"t.py::q1": "failed"}, "the test 't.py::q1' ended as failed"),
        ({"t.py::q1": "skipped"}, "the test 't.py::q1' ended as skipped"),
        ({"t.py::other": "passed"}, "no test 't.py::q1' is named by the checks"),
    ],
)
def test_the_word_that_it_is_fixed_counts_if_its_own_test_passes_on_this_tree(
    ended: dict[str, Outcome], why: str
) -> None:
    withdrawn = [{"id": "Q1", "title": "Empty", "state": "fixed", "by": "t.py::other"}]
    found = settle(ended, answers=[FIXED], before=before(Q1), withdrawn=withdrawn)

    assert [each["why"] for each in found["open"]] == ([f"nothing shows that it is mended: {why}"] if why else [])
    assert found["settled"] == ([] if why else [{**Q1, "state": "fixed", "by": "t.py::q1"}])


@pytest.mark.parametrize(
    ("answer", "withdrawn", "by"),
    [
        ({"state": "disputed", "reason": "R4 says it"}, {}, "R4 says it"),
        ({"state": "disputed", "reason": "R4 says it"}, {"state": "disputed", "by": "R4"}, "R4"),
        ({"state": "disputed", "reason": "  "}, {}, ""),
        ({"state": "disputed"}, {"state": "fixed", "by": "t.py::other"}, ""),
        ({}, {}, ""),
    ],
)
def test_a_dispute_counts_with_a_reason_once_nobody_holds_the_finding(
    answer: dict[str, Any], withdrawn: dict[str, Any], by: str
) -> None:
    found = settle(
        {"t.py::q1": "failed"},
        answers=[{"id": "Q1", **answer}],
        before=before(Q1),
        withdrawn=[{"id": "Q1", **withdrawn}],
    )

    assert found["settled"] == ([{**Q1, "state": "disputed", "by": by}] if by else [])
    assert bool(found["open"]) is not bool(by)


def test_what_its_finder_holds_is_open_whatever_is_said_and_what_the_answer_lacks_is_told() -> None:
    def why(answer: dict[str, Any], outcome: Outcome = "failed") -> str:
        found = settle({"t.py::q1": outcome}, findings=[Q1], answers=[{"id": "Q1", **answer}], before=before(Q1))
        (open_,) = found["open"]
        return str(open_["why"])

    assert why({"state": "fixed"}) == "it was said to be fixed: the test 't.py::q1' ended as failed"
    assert why({"state": "fixed"}, "passed") == "its test passes, and it is held up all the same"
    assert why({"state": "disputed", "reason": "R4"}) == "the dispute is not accepted"
    assert why({"state": "disputed"}) == "it was disputed without a reason"
    assert why({}) == "it was not answered"


def test_what_was_settled_opens_again_when_its_test_passes_no_longer_or_it_is_found_again() -> None:
    fixed, disputed = {**Q1, "state": "fixed", "by": "t.py::q1"}, {**Q1, "id": "Q2", "state": "disputed", "by": "R4"}
    known = before(settled=(fixed, disputed))

    assert settle({"t.py::q1": "passed"}, before=known) == known
    again = settle({"t.py::q1": "error"}, before=known)
    assert [each["id"] for each in again["open"]] == ["Q1"]
    assert again["settled"] == [disputed]
    assert [
        each["id"] for each in settle({"t.py::q1": "passed"}, before=known, findings=[{**Q1, "id": "Q2"}])["open"]
    ] == ["Q2"]


IDS = st.sampled_from(["Q1", "Q2", "Q3"])
WORDS = st.sampled_from(["", " ", "t.py::q1", "t.py::q2", "R4"])
FINDINGS = st.lists(st.fixed_dictionaries({"id": IDS, "title": WORDS, "test": WORDS}), max_size=3)
SAID = st.fixed_dictionaries(
    {"id": IDS},
    optional={"state": st.sampled_from(["fixed", "disputed", "done"]), "proof": WORDS, "reason": WORDS, "by": WORDS},
)


@given(
    st.lists(st.tuples(FINDINGS, st.lists(SAID, max_size=3), st.lists(SAID, max_size=3)), min_size=1, max_size=5),
    st.dictionaries(
        st.sampled_from(["t.py::q1", "t.py::q2"]), st.sampled_from(["passed", "failed", "skipped", "error"]), max_size=2
    ),
)
def test_nothing_that_was_found_is_ever_lost_and_what_is_fixed_has_its_test_among_those_that_passed(
    rounds: list[tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]], ended: dict[str, Outcome]
) -> None:
    known: dict[str, Any] = {}
    found: set[str] = set()
    for findings, answers, withdrawn in rounds:
        known = settle(ended, findings=findings, answers=answers, withdrawn=withdrawn, before=known)
        found |= {each["id"] for each in findings}
        ids = [each["id"] for each in (*known["open"], *known["settled"])]
        assert sorted(ids) == sorted(found)
        assert {each["id"] for each in findings} <= {each["id"] for each in known["open"]}
        for each in known["settled"]:
            assert ended.get(each["test"]) == "passed" if each["state"] == "fixed" else each["by"].strip()


@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_a_function_is_described_with_its_own_parameters(name: str) -> None:
    named = [
        each.name
        for each in signature(functions.FUNCTIONS[name]).parameters.values()
        if each.kind is not Parameter.KEYWORD_ONLY
    ]

    assert list(functions.SIGNATURES[name].inputs) == named
    assert functions.SIGNATURES[name].gives["additionalProperties"] is False


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"findings": "none"}, "the input 'findings' is not what it takes: 'none' is not of type 'array'"),
        ({"findings": [{"title": "no id"}]}, "the input 'findings' is not what it takes: [0]: 'id' is a required property"),
        ({"before": {"open": [1]}}, "the input 'before' is not what it takes: open[0]: 1 is not of type 'object'"),
    ],
)  # fmt: skip
def test_a_function_is_not_called_with_what_it_does_not_take(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="is not what it takes") as refused:
        settle({}, **values)

    assert str(refused.value) == said


def test_what_a_function_gives_is_held_to_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any, **__: Any) -> Mapping[str, Any]:
        return {"open": [], "setled": []}

    monkeypatch.setattr(functions, "FUNCTIONS", MappingProxyType({"findings.settle": wrong}))
    with pytest.raises(ValueError, match="what it gave is not what it says that it gives"):
        functions.call("findings.settle", {}, read=str.encode)


def test_a_no_is_a_finding_with_what_blocks_for_it_or_else_with_what_was_said() -> None:
    blocks = {
        "id": "look-1",
        "severity": "major",
        "title": "Left behind",
        "detail": "by place",
        "path": "c.py",
        "line": 7,
    }
    verdicts = [
        {"role": "reviewer", "approved": False, "case_against": "much", "blocking": [blocks]},
        {"role": "architect", "approved": False, "case_against": "the old format", "blocking": []},
        {"role": "qa", "approved": True, "case_against": "nothing", "blocking": []},
    ]
    found = functions.call("findings.objections", {"verdicts": verdicts}, read=str.encode)["open"]

    assert found == [
        {"id": "look-1", "severity": "major", "title": "Left behind", "detail": "c.py:7: by place"},
        {"id": "architect-no", "title": "The architect does not agree", "detail": "the old format"},
    ]
