"""What a run may use, reserved before each call so that it cannot be passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightmill.errors import LimitReached

__all__ = ["Budget", "Spent", "reserve"]

LEAST_REPLY = 1024
"""Tokens below which a reply is not worth asking for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bounds of one run: turns, tokens in and out, US dollars, seconds at work; and of its whole spec, 0: none."""

    turns: int
    tokens: int
    money: float
    seconds: float
    context: int
    """Tokens that one request may have."""
    spec_money: float = 0.0
    spec_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a run has used so far, in the units of `Budget`."""

    turns: int = 0
    tokens: int = 0
    money: float = 0.0
    seconds: float = 0.0


def reserve(
    budget: Budget, spent: Spent, *, input_tokens: int, max_tokens: int, price: Callable[[int, int], float | None]
) -> int:
    """How many tokens the next reply may have, at most *max_tokens*, so that no bound can be passed.

    *input_tokens* is an upper estimate of the request; *price* gives US dollars of (input, output) tokens at the
    dearest rate, None if unknown: then only tokens bound.

    Raises:
        LimitReached: If not even a short reply fits; `limit` names the bound.
    """
    _bound("turns", spent.turns + 1, budget.turns, "turns")
    _bound("seconds", spent.seconds, budget.seconds, "seconds of work")
    _bound("context", input_tokens, budget.context, "tokens in one request")
    _bound("tokens", spent.tokens + input_tokens + LEAST_REPLY, budget.tokens, "tokens")
    allowed = min(max_tokens, budget.tokens - spent.tokens - input_tokens)
    while (cost := price(input_tokens, allowed)) is not None and spent.money + cost > budget.money:
        if allowed <= LEAST_REPLY:
            raise LimitReached(
                f"the next call could pass the budget of ${budget.money:g} (spent: ${spent.money:.4f})",
                hint="raise `budget_money` and run the spec again; the work so far is on the run's branch",
                limit="money",
            )
        allowed = max(LEAST_REPLY, allowed // 2)
    return allowed


def _bound(name: str, needed: float, most: float, unit: str) -> None:
    if needed > most:
        raise LimitReached(
            f"the budget of {most:,.0f} {unit} is used up",
            hint=f"raise `budget_{name}`" if name != "context" else "raise `context_tokens`, or cut the task smaller",
            limit=name,
        )
