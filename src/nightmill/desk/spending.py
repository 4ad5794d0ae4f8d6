"""What runs share and may spend today (UTC): what is spent, held and left; and more of it, by somebody's word."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from nightmill.desk.door import Door
from nightmill.desk.shelf import policy
from nightmill.errors import NightmillError, SettingsError
from nightmill.estate import file
from nightmill.event import DispatcherAsked
from nightmill.policy import least
from nightmill.policy.purse import millionths
from nightmill.store import projects
from nightmill.store.accounts import Accounts, Standing
from nightmill.store.gates import Gates

__all__ = ["Asks", "Pot", "asks", "closed", "look_again", "more", "today"]

MOST = 10_000.0
"""US dollars that are added at once: who types a zero too many is asked again."""


class Pot(NamedTuple):
    """How one scope stands: a *project*, or "" for the whole day. *most* is in US dollars, with what was added; 0: any amount."""

    project: str
    standing: Standing
    most: float
    most_tokens: int

    @property
    def spent(self) -> float:
        """US dollars."""
        return self.standing.money / 1e6

    @property
    def held(self) -> float:
        """US dollars that calls under way may still cost."""
        return self.standing.held_money / 1e6

    @property
    def left(self) -> float:
        """US dollars that may be spent beside what is held; 0, too, where nothing bounds them."""
        return max(0.0, self.most - self.spent - self.held)


class Asks(NamedTuple):
    """How often a model was asked which process an ask is for, and what that cost in US dollars."""

    n: int
    money: float


def today(door: Door, *, seen: Collection[str] | None = None) -> list[Pot]:
    """The whole day, and after it each project that spent or holds something; of those *seen* alone, if these are named."""
    day, *rest = Accounts(door.database).today()
    whole = Pot("", day, _raised(door.settings.budget_day_money, day), door.settings.budget_day_tokens)
    found = [(each.name.rpartition("/")[0], each) for each in rest]
    pots = [Pot(name, each, _of(door, name), 0) for name, each in found if seen is None or name in seen]
    return pots if seen is not None else [whole, *pots]


def more(door: Door, dollars: float, *, by: str) -> int:
    """Add *dollars* to what the day may cost, and let everybody who waits by the clock look again; how many those are.

    Raises:
        SettingsError: If nothing bounds the day, or it is no amount.
    """
    if not door.settings.budget_day_money:
        raise SettingsError("there is no budget of the day that could be raised", hint="set `budget_day_money`")
    if not 0 < dollars <= MOST:
        raise SettingsError(
            f"{dollars:g} is nothing that can be added", hint=f"more than $0, at most ${MOST:g} at once"
        )
    Accounts(door.database).raise_day(millionths(dollars), by=by)
    return look_again(door, by=by)


def look_again(door: Door, *, by: str) -> int:
    """Let everybody who waits by the clock look again; how many those are."""
    waiting = [run for run in door.runs.list(states=("parked",)) if run.why == "time" and run.wanted == "run"]
    for run in waiting:
        door.runs.want(run.id, "run", by=by)
    return len(waiting)


def asks(door: Door, day: str) -> Asks:
    """Those of *day*, as 2026-05-01 (UTC)."""
    began = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    told = [
        entry.event()
        for entry in door.ledger.read(after=door.ledger.before(began), names=(DispatcherAsked.name,))
        if datetime.fromtimestamp(entry.at, UTC).date().isoformat() == day
    ]
    costs = [each.cost or 0.0 for each in told if isinstance(each, DispatcherAsked)]
    return Asks(len(costs), sum(costs))


def closed(door: Door) -> dict[str, float]:
    """The keys of providers that want no calls just now, and for how many seconds."""
    rows = Gates(door.database).all()
    return {name: left for name, body, now in rows if (left := body.get("closed", 0.0) - now) > 0}


def _raised(most: float, standing: Standing) -> float:
    return most + standing.raised / 1e6 if most else 0.0


def _of(door: Door, project: str) -> float:
    """What the runs of *project* may cost on a day, as its main branch has it; 0 where that cannot be read."""
    try:
        hub = door.hub(project)
        commit = (hub.resolve("HEAD") or "") if hub.path.is_dir() else ""
        own = file.at_commit(hub, commit, root=projects.get(door.database, project).root).budget if commit else 0.0
    except NightmillError:  # the commands that need it say what is wrong with it
        return 0.0
    return least(own, policy(door, project, commit).budgets.project)
