"""A mistake that is made again brings more and more with it, and never less of anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightmill.policy import Policy, Record, Review, Rung, decide, measure, records
from nightmill.policy.ladder import LADDER, TAKEABLE, takes
from nightmill.policy.nouns import Measure
from tests.policy.test_decide import FACTS, LOOSE, NOW, RANK, review, said, yes

MEASURES: tuple[Measure, ...] = ("none", "note", "instruction", "permission", "approval")
RUNGS = st.lists(
    st.builds(
        Rung,
        kind=st.sampled_from(["", "claim", "guard"]),
        measure=st.sampled_from(MEASURES[1:]),
        times=st.integers(1, 12),
        takes=st.lists(st.sampled_from(TAKEABLE), max_size=3).map(tuple),
    ),
    max_size=5,
)


def record(measure: Measure, **changes: str) -> Record:
    return replace(Record(role="developer", model="m", kind="claim", times=7, measure=measure), **changes)


@pytest.mark.parametrize(
    ("times", "follows"),
    [(0, "none"), (1, "note"), (2, "note"), (3, "instruction"), (6, "permission"), (10, "approval")],
)
def test_what_follows_grows_with_the_times(times: int, follows: str) -> None:
    assert measure(LADDER, "claim", times) == follows


@given(RUNGS, RUNGS, st.integers(0, 15))
def test_neither_a_rung_nor_a_time_more_makes_it_milder(rungs: list[Rung], more: list[Rung], times: int) -> None:
    before = MEASURES.index(measure(rungs, "claim", times))

    assert MEASURES.index(measure([*rungs, *more], "claim", times)) >= before
    assert MEASURES.index(measure(rungs, "claim", times + 1)) >= before


@given(RUNGS, RUNGS, st.integers(0, 15))
def test_neither_a_rung_nor_a_time_more_gives_anything_back(rungs: list[Rung], more: list[Rung], times: int) -> None:
    before = {*takes(rungs, "claim", times)}

    assert before <= {*takes([*rungs, *more], "claim", times)}
    assert before <= {*takes(rungs, "claim", times + 1)}
    assert not takes(rungs, "claim", 0)


def test_what_is_taken_is_of_the_kind_and_stays_on_the_rungs_above() -> None:
    rungs = (Rung(kind="guard", measure="permission", times=1, takes=("search",)), *LADDER)

    assert takes(rungs, "claim", 5) == ()
    assert takes(rungs, "claim", 6) == takes(rungs, "claim", 10) == ("network", "explore")
    assert takes(rungs, "guard", 6) == ("network", "explore", "search")


def test_each_role_with_each_model_has_a_record_of_each_kind() -> None:
    made = [("developer", "m", "claim")] * 3 + [
        ("developer", "n", "claim"),
        ("developer", "m", "guard"),
        ("qa", "m", "claim"),
    ]
    found = records(LADDER, made)

    assert found[0] == Record(role="developer", model="m", kind="claim", times=3, measure="instruction")
    assert {(each.role, each.model, each.kind, each.times) for each in found[1:]} == {
        ("developer", "n", "claim", 1),
        ("developer", "m", "guard", 1),
        ("qa", "m", "claim", 1),
    }


def test_a_permission_less_is_another_roles_approval_and_the_last_rung_a_persons() -> None:
    for mild in ("none", "note", "instruction"):
        assert said(replace(FACTS, records=(record(mild),)), LOOSE) == "allow"
    less, last = replace(FACTS, records=(record("permission"),)), replace(FACTS, records=(record("approval"),))

    (reason,) = decide(less, LOOSE, NOW).reasons
    assert reason.sentence.startswith(
        "the developer (m) said that it was done, and the checks failed, 7 times in 50 runs (ladder: permission): review it"
    )
    assert said(replace(less, reviews=(review(),)), LOOSE) == "allow"
    assert said(replace(less, reviews=(review(writes="code"),)), LOOSE) == "ask"
    assert said(replace(last, reviews=(review(),)), LOOSE) == "ask"
    assert said(replace(last, approvals=(yes(LOOSE),)), LOOSE) == "allow"


@given(
    st.sampled_from([Policy(), LOOSE, replace(LOOSE, unsupervised="reviewed")]),
    st.sampled_from([(), (review(),)]),
    st.booleans(),
    st.lists(st.sampled_from(MEASURES), max_size=3),
)
def test_a_record_never_allows_what_was_not_allowed(
    policy: Policy,
    reviews: tuple[Review, ...],
    approved: bool,  # noqa: FBT001 - drawn
    measures: list[Measure],
) -> None:
    known = replace(FACTS, reviews=reviews, approvals=(yes(policy),) if approved else ())
    worse = replace(known, records=tuple(record(each, kind=str(number)) for number, each in enumerate(measures)))

    assert RANK[said(worse, policy)] >= RANK[said(known, policy)]
