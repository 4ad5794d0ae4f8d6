"""What runs spend together never passes a bound, whoever dies when, on both databases."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from nightmill import event
from nightmill.store import Database, Runs
from nightmill.store.accounts import Accounts, Bound, Call, Offer, Short
from tests.conftest import Python

NOON = 1_700_049_600.0
"""2023-11-15 12:00 UTC."""


def at(seconds: float) -> sa.ColumnElement[float]:
    return sa.cast(sa.literal(seconds), sa.Float(53))


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, now=at(NOON))


def call(number: int = 1, *, run: str = "r1", project: str = "p", worker: str = "w1", spec: str = "") -> Call:
    return Call(id=f"{run}/{number}", run=run, worker=worker, project=project, spec=spec or run)


def day(money: int = 0, tokens: int = 0) -> list[Bound]:
    return [Bound(scope="day", money=money, tokens=tokens)]


def offers(*money: int, tokens: int = 10) -> Sequence[Offer]:
    return [Offer(reply=each, money=each, tokens=tokens) for each in money]


def reserve(accounts: Accounts, asked: Call, *money: int, bounds: Sequence[Bound]) -> int | Short:
    found = accounts.reserve(asked, bounds=bounds, offers=offers(*money))
    return found.money if isinstance(found, Offer) else found


def test_a_shorter_reply_is_offered_before_none(accounts: Accounts) -> None:
    bounds = day(money=100)

    assert reserve(accounts, call(1), 70, 35, bounds=bounds) == 70
    assert reserve(accounts, call(2), 70, 25, bounds=bounds) == 25
    short = reserve(accounts, call(3), 70, 35, 10, bounds=bounds)
    assert isinstance(short, Short)
    assert (short.lack, short.held, short.seconds) == ("money", True, 43_200.0)
    assert (short.standing.held_money, short.standing.money) == (95, 0)


def test_what_was_used_takes_the_place_of_what_was_held_once(accounts: Accounts) -> None:
    bounds = day(money=100)
    reserve(accounts, call(1), 100, bounds=bounds)
    for _ in range(2):  # as when nobody knows whether the first commit came through
        accounts.settle("r1/1", money=30, tokens=7)

    standing = accounts.standing(scope="day")
    assert (standing.money, standing.tokens, standing.held_money) == (30, 7, 0)
    assert reserve(accounts, call(2), 70, bounds=bounds) == 70


def test_the_same_call_holds_once_however_often_it_asks(accounts: Accounts) -> None:
    for _ in range(3):
        assert reserve(accounts, call(1), 60, bounds=day(money=100)) == 60

    assert accounts.standing(scope="day").held_money == 60


def test_each_scope_binds_by_itself(accounts: Accounts) -> None:
    def bounds(scope: str, money: int) -> list[Bound]:
        return [Bound(scope=scope, money=money, tokens=0)]  # type: ignore[arg-type]

    for number, run in enumerate(("s-1", "s-2", "t-1")):
        asked = call(number, run=run, spec=run[0], project=run[0])
        reserve(accounts, asked, 40, bounds=())
        accounts.settle(asked.id, money=40, tokens=0)

    assert reserve(accounts, call(7, run="s-3", spec="s"), 20, bounds=bounds("spec", 100)) == 20
    short = reserve(accounts, call(8, run="s-4", spec="s"), 20, bounds=bounds("spec", 100))
    assert isinstance(short, Short)
    assert (short.standing.name, short.standing.money, short.held) == ("s", 80, True)
    assert reserve(accounts, call(9, run="t-2", spec="t", project="t"), 20, bounds=bounds("project", 60)) == 20
    refused = reserve(accounts, call(10, run="t-3", spec="t", project="t"), 1, bounds=bounds("project", 60))
    assert isinstance(refused, Short)
    assert refused.standing.name == "t/2023-11-15"


def test_where_the_price_is_unknown_tokens_bind(accounts: Accounts) -> None:
    assert reserve(accounts, call(1), 0, bounds=day(money=1, tokens=15)) == 0
    short = reserve(accounts, call(2), 0, bounds=day(money=1, tokens=15))

    assert isinstance(short, Short)
    assert short.lack == "tokens"


def test_a_person_can_raise_the_day_and_the_next_day_is_new(database: Database, accounts: Accounts) -> None:
    reserve(accounts, call(1), 100, bounds=())
    accounts.settle("r1/1", money=100, tokens=0)
    assert isinstance(reserve(accounts, call(2), 10, bounds=day(money=100)), Short)
    accounts.raise_day(10, by="Ada <ada@example.org>")
    assert reserve(accounts, call(2), 10, bounds=day(money=100)) == 10

    tomorrow = Accounts(database, now=at(NOON + 43_200.0))
    assert reserve(tomorrow, call(3), 100, bounds=day(money=100)) == 100
    tomorrow.settle("r1/2", money=10, tokens=1)
    assert accounts.standing(scope="day").money == 110, "it is of the day on which it was reserved"
    assert tomorrow.standing(scope="day").money == 0


def test_what_a_run_holds_that_has_ended_is_given_back_when_there_is_need(
    database: Database, accounts: Accounts
) -> None:
    runs = Runs(database, lambda: 1.0)
    queued = event.RunQueued(run="r1", kind="task", title="t", project="p", spec="s", model="m")
    runs.create(queued, assignment="a")
    reserve(accounts, call(1), 90, bounds=day(money=100))
    assert isinstance(reserve(accounts, call(2, run="r2"), 90, bounds=day(money=100)), Short), "it may still be paid"

    with database.write() as connection:
        connection.exec_driver_sql("UPDATE run SET state = 'stopped'")
    assert reserve(accounts, call(2, run="r2"), 90, bounds=day(money=100)) == 90


def test_what_a_dead_worker_left_is_found_by_run(accounts: Accounts) -> None:
    for number, worker in enumerate(("dead", "alive")):
        reserve(accounts, call(number, worker=worker), 10, bounds=())

    assert accounts.left("r1", worker="alive") == [call(0, worker="dead")]
    accounts.release("r1/0")
    accounts.release("r1/0")
    assert accounts.standing(scope="day").held_money == 10


SPEND = """
import asyncio, json, random, sys
from nightmill.errors import NotYet
from nightmill.policy import Purse
from nightmill.store import Database
from nightmill.store.accounts import Accounts, Bound, Call

async def run(purse, accounts, name, draw):
    spent, bounds = 0.0, [Bound(scope="day", money=1_000_000, tokens=0)]
    for number in range(1000):
        call = Call(id=f"{name}/{number}", run=name, worker="w", project="p", spec=name)
        try:
            hold = await purse.reserve(
                call, bounds=bounds, input_tokens=1000, max_tokens=8192, price=lambda given, made: given * 1e-6 + made * 2e-6
            )
        except NotYet as no:
            if no.seconds != 20.0:
                return spent
            await asyncio.sleep(0.01)
            continue
        await asyncio.sleep(draw.random() / 100)
        if draw.random() < 0.1:
            purse.release(hold)
            continue
        used = 1000 * 1e-6 + draw.randint(1, hold.reply) * 2e-6
        purse.settle(hold, money=used, tokens=1)
        spent += used

async def main():
    database = Database.open(sys.argv[1])
    accounts = Accounts(database)
    purse = Purse(accounts)
    draw = random.Random(int(sys.argv[2]))
    spent = await asyncio.gather(*(run(purse, accounts, f"r{sys.argv[2]}-{n}", draw) for n in range(25)))
    purse.close()
    print(json.dumps(spent))

asyncio.run(main())
"""


def test_a_hundred_runs_in_four_processes_spend_a_budget_and_not_a_cent_more(
    database: Database, url: str, python: Python
) -> None:
    processes = [python(SPEND, url, number) for number in range(4)]
    spent = [sum(json.loads(process.communicate(timeout=240)[0])) for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    standing = Accounts(database).standing(scope="day")
    assert standing.held_money == 0
    assert standing.money <= 1_000_000
    assert 1_000_000 - standing.money < 3_048 + 4 * 25, "what is left holds no call"
    assert sum(spent) == pytest.approx(standing.money / 1e6, abs=0.01), "each settled once"
