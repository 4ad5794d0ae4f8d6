"""What runs may spend today, as it is asked for at a desk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nightmill.desk import spending
from nightmill.desk.door import Door
from nightmill.desk.spending import Pot

__all__ = ["Asks", "Budget", "Spent", "Till", "budget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the day, or a project on it, has spent and holds for calls under way, and has *left* of the *most*, 0: any amount.

    *raised* was added to its bound. In US dollars.
    """

    scope: str
    name: str
    money: float
    held_money: float
    raised: float
    tokens: int
    held_tokens: int
    most: float
    left: float
    most_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """How often a model was asked which process an ask is for, and what that cost in US dollars."""

    n: int
    money: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How the day (UTC) stands, 0 in *day_money* and *day_tokens* being any amount.

    Attributes:
        today: The day, and after it each project that spent or holds something on it.
        closed: Seconds for which a key wants no calls, by its name.
    """

    day_money: float
    day_tokens: int
    today: tuple[Spent, ...]
    asks: Asks
    closed: dict[str, float]


class Till(Protocol):
    """What runs of a store share. Each raises SettingsError if one may not, EngineError if the store is away."""

    def budget(self) -> Budget:
        """How the day stands."""
        ...

    def raise_budget(self, dollars: float) -> int:
        """Add so much to the budget of the day, and wake who waits for it; how many runs look again.

        Raises:
            SettingsError: If there is no such budget.
        """
        ...


def budget(door: Door) -> Budget:
    """How the day stands."""
    pots = spending.today(door)
    asked = spending.asks(door, pots[0].standing.name)
    return Budget(
        day_money=door.settings.budget_day_money,
        day_tokens=door.settings.budget_day_tokens,
        today=tuple(map(_spent, pots)),
        asks=Asks(n=asked.n, money=float(asked.money)),
        closed=spending.closed(door),
    )


def _spent(pot: Pot) -> Spent:
    its = pot.standing
    return Spent(
        scope=its.scope,
        name=its.name,
        money=pot.spent,
        held_money=pot.held,
        raised=its.raised / 1e6,
        tokens=its.tokens,
        held_tokens=its.held_tokens,
        most=pot.most,
        left=pot.left,
        most_tokens=pot.most_tokens,
    )
