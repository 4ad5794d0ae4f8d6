"""No call is made that could pass a bound."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightmill.errors import LimitReached
from nightmill.policy import Budget, Spent, reserve
from nightmill.policy.budget import LEAST_REPLY

WIDE = Budget(turns=10, tokens=100_000, money=1.0, seconds=60.0, context=50_000)


def free(_given: int, _made: int) -> float | None:
    return None


def price(given: int, made: int) -> float | None:
    return given * 1e-5 + made * 1e-4


@pytest.mark.parametrize(
    ("spent", "asked", "limit", "hint"),
    [
        (Spent(turns=10), 100, "turns", "budget_turns"),
        (Spent(seconds=60.5), 100, "seconds", "budget_seconds"),
        (Spent(), 50_001, "context", "context_tokens"),
        (Spent(tokens=99_000), 1, "tokens", "budget_tokens"),
        (Spent(money=0.99), 10_000, "money", "budget_money"),
    ],
)
def test_a_bound_that_could_be_passed_is_named(spent: Spent, asked: int, limit: str, hint: str) -> None:
    with pytest.raises(LimitReached) as caught:
        reserve(WIDE, spent, input_tokens=asked, max_tokens=8192, price=price)

    assert caught.value.limit == limit
    assert hint in caught.value.hint
    assert "budget" in caught.value.message


def test_the_last_unit_of_a_bound_may_be_used() -> None:
    assert reserve(WIDE, Spent(turns=9, seconds=60.0), input_tokens=50_000, max_tokens=8192, price=free) == 8192
    assert reserve(WIDE, Spent(tokens=98_975), input_tokens=1, max_tokens=8192, price=free) == 1024
    assert reserve(WIDE, Spent(), input_tokens=1, max_tokens=100, price=free) == 100


def test_a_model_of_unknown_price_is_bound_by_tokens_alone() -> None:
    tiny = Budget(turns=10, tokens=100_000, money=0.0, seconds=60.0, context=50_000)

    assert reserve(tiny, Spent(money=5.0), input_tokens=100, max_tokens=8192, price=free) == 8192
    with pytest.raises(LimitReached):
        reserve(tiny, Spent(), input_tokens=100, max_tokens=8192, price=price)


def test_a_reply_is_made_shorter_before_it_is_refused() -> None:
    allowed = reserve(WIDE, Spent(money=0.5), input_tokens=100, max_tokens=8192, price=price)

    assert LEAST_REPLY <= allowed < 8192
    assert 0.5 + (price(100, allowed) or 0) <= 1.0


@settings(max_examples=300)
@given(
    budget=st.builds(
        Budget,
        turns=st.integers(0, 5),
        tokens=st.integers(0, 20_000),
        money=st.floats(0, 2),
        seconds=st.floats(0, 10),
        context=st.integers(0, 20_000),
    ),
    spent=st.builds(
        Spent, turns=st.integers(0, 5), tokens=st.integers(0, 20_000), money=st.floats(0, 2), seconds=st.floats(0, 10)
    ),
    asked=st.integers(0, 20_000),
    most=st.integers(1, 10_000),
    rates=st.none() | st.tuples(st.floats(0, 1e-3), st.floats(0, 1e-3)),
)
def test_what_is_allowed_never_passes_the_budget(
    budget: Budget, spent: Spent, asked: int, most: int, rates: tuple[float, float] | None
) -> None:
    def cost(given_tokens: int, made: int) -> float | None:
        return None if rates is None else given_tokens * rates[0] + made * rates[1]

    try:
        allowed = reserve(budget, spent, input_tokens=asked, max_tokens=most, price=cost)
    except LimitReached:
        return
    assert 0 < allowed <= most
    assert spent.turns + 1 <= budget.turns
    assert asked <= budget.context
    assert spent.tokens + asked + allowed <= budget.tokens
    assert spent.money + (cost(asked, allowed) or 0.0) <= budget.money or rates is None
