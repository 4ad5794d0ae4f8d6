"""Money and tokens that runs share: reserved in one transaction before they are spent, settled once after that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from nightmill.event import BudgetRaised
from nightmill.store import chain, tables
from nightmill.store.database import Database

__all__ = ["DAY", "Accounts", "Bound", "Call", "Offer", "Scope", "Short", "Standing"]

Scope = Literal["day", "project", "spec"]

DAY = 86400.0

SHARE = 4
"""What is held for calls to come is at most this part of what is left: nobody waits long for what nobody uses yet."""

LOCK = 0x627564676574
"""Key of the PostgreSQL advisory lock that whoever reserves or settles holds. A SQLite write holds its lock anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who sets something aside: *id* is new each time; *spec* is the run that a person asked for."""

    id: str
    run: str
    worker: str
    project: str
    spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The most that one *scope* may use, in millionths of a US dollar and in tokens; 0: any amount."""

    scope: Scope
    money: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """So many *calls* with replies of at most *reply* tokens each, and what they may take at most, together."""

    reply: int
    money: int
    tokens: int
    calls: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one scope has used, and what calls that are under way may still use; *raised* is added to its bound."""

    scope: str
    name: str
    money: int = 0
    tokens: int = 0
    raised: int = 0
    held_money: int = 0
    held_tokens: int = 0

    def lacks(self, bound: Bound, offer: Offer, *, held: bool = True) -> Literal["", "money", "tokens"]:
        """Of what there is too little below *bound* for *offer*, beside what is under way if *held*; "": it fits."""
        money = self.money + offer.money + (self.held_money if held else 0)
        tokens = self.tokens + offer.tokens + (self.held_tokens if held else 0)
        # What costs nothing, or nobody knows what, is bound by tokens alone.
        if bound.money and offer.money and money > bound.money + self.raised:
            return "money"
        return "tokens" if bound.tokens and tokens > bound.tokens else ""

    def fits(self, bound: Bound, offer: Offer) -> bool:
        """Whether *offer* may be held below *bound*; several calls at once only while there is plenty."""
        if offer.calls == 1:
            return not self.lacks(bound, offer)
        money = SHARE * (self.held_money + offer.money) if bound.money and offer.money else 0
        tokens = SHARE * (self.held_tokens + offer.tokens) if bound.tokens else 0
        return money <= max(0, bound.money + self.raised - self.money) and tokens <= max(0, bound.tokens - self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """No offer fits: *standing* has no room below *bound*.

    Attributes:
        lack: Of what there is too little.
        held: There would be room if nothing were under way.
        seconds: Until the day of the database's clock ends.
    """

    bound: Bound
    standing: Standing
    lack: str
    held: bool
    seconds: float


class Accounts:
    """The accounts of the store. *now* is a database's expression of Unix seconds."""

    def __init__(self, database: Database, *, now: sa.ColumnElement[float] | None = None) -> None:
        self.database = database
        self.now = database.now if now is None else now

    def reserve(self, call: Call, *, bounds: Sequence[Bound], offers: Sequence[Offer]) -> Offer | Short:
        """Hold the first of *offers* that fits all *bounds*; whatever *call* held before is given back."""
        table = tables.reservation
        with self.database.write() as connection:
            now = self._begin(connection)
            connection.execute(table.delete().where(table.c.id == call.id))
            for last in (False, True):
                standings = [self._standing(connection, call, bound.scope, _day(now)) for bound in bounds]
                pairs = list(zip(standings, bounds, strict=True))
                for offer in offers:
                    if all(standing.fits(bound, offer) for standing, bound in pairs):
                        connection.execute(table.insert().values(**_row(call, offer, _day(now))))
                        return offer
                if last or not _sweep(connection):
                    break
            least = offers[-1]
            standing, bound = next(pair for pair in pairs if pair[0].lacks(pair[1], least))
            return Short(
                bound=bound,
                standing=standing,
                lack=standing.lacks(bound, least),
                held=not any(each.lacks(limit, least, held=False) for each, limit in pairs),
                seconds=DAY - now % DAY,
            )

    def settle(self, id: str, *, money: int, tokens: int) -> None:
        """Put what was used in place of what *id* holds, on the day on which that was reserved.

        Once: a second time, in whichever process and whatever became of the commit before, nothing is held any more.
        """
        table = tables.reservation
        with self.database.write() as connection:
            self._begin(connection)
            held = connection.execute(sa.select(table).where(table.c.id == id)).mappings().one_or_none()
            if held is None:
                return
            connection.execute(table.delete().where(table.c.id == id))
            for scope, name in _names(held["project"], held["spec"], held["day"]).items():
                _add(connection, scope, name, {"money": money, "tokens": tokens})

    def release(self, id: str) -> None:
        """Give back what *id* holds."""
        with self.database.write() as connection:
            connection.execute(tables.reservation.delete().where(tables.reservation.c.id == id))

    def left(self, run: str, *, worker: str) -> list[Call]:
        """What *run* holds by other workers than *worker*."""
        table = tables.reservation
        query = sa.select(table).where(table.c.run == run, table.c.worker != worker).order_by(table.c.id)
        with self.database.read() as connection:
            names = ("id", "run", "worker", "project", "spec")
            return [Call(**{name: row[name] for name in names}) for row in connection.execute(query).mappings()]

    def raise_day(self, money: int, *, by: str) -> None:
        """Add *money* to today's bound, until the day ends, by the word of *by*."""
        with self.database.write() as connection:
            now = self._begin(connection)
            _add(connection, "day", _day(now), {"raised": money})
            told = BudgetRaised(run="", day=_day(now), dollars=money / 1e6, by=by)
            chain.append(connection, [chain.fact(told, at=now)])

    def standing(self, *, scope: Scope, project: str = "", spec: str = "") -> Standing:
        """How one scope stands today."""
        call = Call(id="", run="", worker="", project=project, spec=spec)
        with self.database.read() as connection:
            day = _day(float(connection.execute(sa.select(self.now)).scalar_one()))
            return self._standing(connection, call, scope, day)

    def today(self) -> list[Standing]:
        """How the day stands, and after it each project that spent or holds something on it."""
        account, held = tables.account, tables.reservation
        with self.database.read() as connection:
            day = _day(float(connection.execute(sa.select(self.now)).scalar_one()))
            spent = sa.select(account.c.name).where(account.c.scope == "project", account.c.name.endswith(f"/{day}"))
            holds = sa.select(held.c.project).where(held.c.day == day)
            names = {name.rpartition("/")[0] for name in connection.execute(spent).scalars()}
            names |= set(connection.execute(holds).scalars())
            calls = [Call(id="", run="", worker="", project=name, spec="") for name in ("", *sorted(names))]
            return [self._standing(connection, each, "project" if each.project else "day", day) for each in calls]

    def _begin(self, connection: sa.Connection) -> float:
        """Let no other process decide meanwhile; the time."""
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        return float(connection.execute(sa.select(self.now)).scalar_one())

    def _standing(self, connection: sa.Connection, call: Call, scope: Scope, day: str) -> Standing:
        account, held = tables.account, tables.reservation
        name = _names(call.project, call.spec, day)[scope]
        which = {
            "day": [held.c.day == day],
            "project": [held.c.day == day, held.c.project == call.project],
            "spec": [held.c.spec == call.spec],
        }[scope]
        sums = sa.select(sa.func.sum(held.c.money), sa.func.sum(held.c.tokens)).where(*which)
        money, tokens = connection.execute(sums).one()
        query = sa.select(account.c.money, account.c.tokens, account.c.raised)
        found = connection.execute(query.where(account.c.scope == scope, account.c.name == name)).mappings()
        used = dict(found.one_or_none() or {})
        return Standing(scope=scope, name=name, held_money=int(money or 0), held_tokens=int(tokens or 0), **used)


def _row(call: Call, offer: Offer, day: str) -> dict[str, Any]:
    held = {"money": offer.money, "tokens": offer.tokens, "day": day}
    return {"id": call.id, "run": call.run, "worker": call.worker, "project": call.project, "spec": call.spec, **held}


def _sweep(connection: sa.Connection) -> int:
    """Give back what runs that have ended still hold by workers that are dead; how often there was something.

    A worker that lives settles what it holds: what it used is in no account before that.
    """
    run, held, worker = tables.run, tables.reservation, tables.worker
    over = sa.select(run.c.id).where(run.c.state.in_(("done", "stopped")))
    alive = sa.select(worker.c.id).where(worker.c.ended.is_(False), worker.c.beat != 0)
    return connection.execute(held.delete().where(held.c.run.in_(over), held.c.worker.not_in(alive))).rowcount


def _add(connection: sa.Connection, scope: str, name: str, amounts: dict[str, int]) -> None:
    account = tables.account
    sums = {column: account.c[column] + amount for column, amount in amounts.items()}
    here = (account.c.scope == scope, account.c.name == name)
    if not connection.execute(account.update().where(*here).values(**sums)).rowcount:
        connection.execute(account.insert().values(scope=scope, name=name, **amounts))


def _names(project: str, spec: str, day: str) -> dict[Scope, str]:
    return {"day": day, "project": f"{project}/{day}", "spec": spec}


def _day(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).date().isoformat()
