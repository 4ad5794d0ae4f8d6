"""What runs share: what is spent, held and left today, and which keys are told to wait."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nightmill.desk.budget import Spent

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
    from nightmill.cli.house import open_house
    from nightmill.cli.screen import print_json, say, table
    from nightmill.report.words import count, money

    with open_house() as house:
        if raised is not None:
            waiting = house.raise_budget(raised)
            say(f"${raised:g} more for today; {count(waiting, 'run')} {'looks' if waiting == 1 else 'look'} again")
        found = house.budget()
    if json:
        keys = ("scope", "name", "money", "held_money", "raised", "tokens", "held_tokens")
        print_json({**asdict(found), "today": [{key: getattr(each, key) for key in keys} for each in found.today]})
        return
    table(("today", "spent", "held", "left", "tokens"), _rows(found.today))
    if found.asks.n:
        say(f"of this, {count(found.asks.n, 'ask')} before any run: {money(found.asks.money)}")
    for name, seconds in found.closed.items():
        say(f"{name} wants no calls for {seconds:.0f} s")


def _rows(today: Iterable[Spent]) -> list[tuple[str, ...]]:
    from nightmill.report.words import money
    from nightmill.report.words import tokens as short

    rows: list[tuple[str, ...]] = []
    for each in today:
        tokens = short(each.tokens) + (f" of {short(each.most_tokens)}" if each.most_tokens else "")
        left = money(each.left) if each.most else ""
        rows.append((each.name, money(each.money), money(each.held_money), left, tokens))
    return rows
