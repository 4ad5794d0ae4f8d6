"""What runs share: what is spent, held and left today, and which keys are told to wait."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nightmill.cli.door import Door
    from nightmill.store.accounts import Accounts, Standing

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
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import print_json, say, table
    from nightmill.report.words import count, money
    from nightmill.store.accounts import Accounts
    from nightmill.store.gates import Gates

    door = open_door()
    accounts = Accounts(door.database)
    if raised is not None:
        _raise(door, accounts, raised)
    standings = accounts.today()
    closed = {
        name: left for name, body, now in Gates(door.database).all() if (left := body.get("closed", 0.0) - now) > 0
    }
    bounds = (door.settings.budget_day_money, door.settings.budget_day_tokens)
    asked = _asked(door, standings[0].name)
    if json:
        keys = ("scope", "name", "money", "held_money", "raised", "tokens", "held_tokens")
        rows = [{key: _dollars(key, asdict(each)[key]) for key in keys} for each in standings]
        print_json({"day_money": bounds[0], "day_tokens": bounds[1], "today": rows, "asks": asked, "closed": closed})
        return
    table(("today", "spent", "held", "left", "tokens"), _rows(standings, *bounds))
    if asked["n"]:
        say(f"of this, {count(int(asked['n']), 'ask')} before any run: {money(asked['money'])}")
    for name, seconds in closed.items():
        say(f"{name} wants no calls for {seconds:.0f} s")


def _asked(door: Door, day: str) -> dict[str, float]:
    """How often a model was asked which process an ask is for on *day* (UTC), and what that cost in US dollars."""
    from datetime import UTC, datetime

    from nightmill.event import DispatcherAsked

    told = [
        entry.event()
        for entry in door.ledger.read(names=(DispatcherAsked.name,))
        if datetime.fromtimestamp(entry.at, UTC).date().isoformat() == day
    ]
    costs = [each.cost or 0.0 for each in told if isinstance(each, DispatcherAsked)]
    return {"n": len(costs), "money": sum(costs)}


def _raise(door: Door, accounts: Accounts, dollars: float) -> None:
    """Add to the day, and let everybody who waits by the clock look again."""
    from nightmill.cli.door import person
    from nightmill.cli.screen import say
    from nightmill.errors import SettingsError
    from nightmill.policy.purse import millionths

    if not door.settings.budget_day_money:
        raise SettingsError("there is no budget of the day that could be raised", hint="set `budget_day_money`")
    accounts.raise_day(millionths(dollars))
    waiting = [run for run in door.runs.list(states=("parked",)) if run.why == "time" and run.wanted == "run"]
    for run in waiting:
        door.runs.want(run.id, "run", by=person())
    say(f"${dollars:g} more for today; {len(waiting)} runs look again")


def _rows(standings: Iterable[Standing], most: float, tokens: int) -> list[tuple[str, ...]]:
    from nightmill.report.words import money
    from nightmill.report.words import tokens as short

    rows: list[tuple[str, ...]] = []
    for each in standings:
        used = each.money + each.held_money
        left = money(max(0.0, most + (each.raised - used) / 1e6)) if most and each.scope == "day" else ""
        count = short(each.tokens) + (f" of {short(tokens)}" if tokens and each.scope == "day" else "")
        rows.append((each.name, money(each.money / 1e6), money(each.held_money / 1e6), left, count))
    return rows


def _dollars(key: str, value: object) -> object:
    return value / 1e6 if key in {"money", "held_money", "raised"} and isinstance(value, int) else value
