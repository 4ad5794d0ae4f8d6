"""What runs share: what is spent, held and left today, and which keys are told to wait."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nightmill.desk.spending import Pot

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(budget)


def budget(
    raised: Annotated[
        float | None,
        typer.Option(
            "--raise", min=0.01, metavar="DOLLARS", help="Add so much to the budget of today, and wake who waits."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what is spent, held by calls under way and left today (UTC), and the keys whose rate is used up."""
    from nightmill.cli.door import open_door, person
    from nightmill.cli.screen import print_json, say, table
    from nightmill.desk import spending
    from nightmill.report.words import count, money

    door = open_door()
    if raised is not None:
        waiting = spending.more(door, raised, by=person())
        say(f"${raised:g} more for today; {count(waiting, 'run')} {'looks' if waiting == 1 else 'look'} again")
    pots = spending.today(door)
    day, closed = pots[0].standing.name, spending.closed(door)
    asked = spending.asks(door, day)
    if json:
        keys = ("scope", "name", "money", "held_money", "raised", "tokens", "held_tokens")
        rows = [{key: _dollars(key, asdict(each.standing)[key]) for key in keys} for each in pots]
        bounds = {"day_money": door.settings.budget_day_money, "day_tokens": door.settings.budget_day_tokens}
        print_json({**bounds, "today": rows, "asks": asked._asdict(), "closed": closed})
        return
    table(("today", "spent", "held", "left", "tokens"), _rows(pots))
    if asked.n:
        say(f"of this, {count(asked.n, 'ask')} before any run: {money(asked.money)}")
    for name, seconds in closed.items():
        say(f"{name} wants no calls for {seconds:.0f} s")


def _rows(pots: Iterable[Pot]) -> list[tuple[str, ...]]:
    from nightmill.report.words import money
    from nightmill.report.words import tokens as short

    rows: list[tuple[str, ...]] = []
    for each in pots:
        tokens = short(each.standing.tokens) + (f" of {short(each.most_tokens)}" if each.most_tokens else "")
        left = money(each.left) if each.most else ""
        rows.append((each.standing.name, money(each.spent), money(each.held), left, tokens))
    return rows


def _dollars(key: str, value: object) -> object:
    return value / 1e6 if key in {"money", "held_money", "raised"} and isinstance(value, int) else value
