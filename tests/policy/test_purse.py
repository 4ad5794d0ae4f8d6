"""The purse of one process: calls are drawn from what is set aside, and everything that was used is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from nightmill.errors import NotYet
from nightmill.policy import Purse
from nightmill.policy.purse import CALLS, Hold
from nightmill.store import Database
from nightmill.store.accounts import Accounts, Bound, Call, Standing

WORST = 3_000
"""Millionths that a call of these costs at most: 1,000 tokens in, 1,000 out."""


class Watched(Accounts):
    """Accounts that count their transactions; the commit of the next *lost* of them comes through and is not heard of."""

    transactions = 0
    lost = 0

    def reserve(self, *args: Any, **named: Any) -> Any:
        self.transactions += 1
        return super().reserve(*args, **named)

    def settle(self, *args: Any, **named: Any) -> None:
        self.transactions += 1
        super().settle(*args, **named)
        if self.lost:
            self.lost -= 1
            raise OperationalError("COMMIT", {}, Exception("the connection was lost"))


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Watched]:
    database = Database.open(f"sqlite:///{tmp_path / 'store.db'}")
    yield Watched(database)
    database.close()


async def hold(purse: Purse, number: int = 1, *, run: str = "r1", most: int = 0, alone: bool = False) -> Hold:
    """Leave for one call within a day of *most* millionths."""
    call = Call(id=f"{run}/{number}", run=run, worker="w", project="p", spec=run)
    return await purse.reserve(
        call,
        bounds=[Bound(scope="day", money=most, tokens=0)],
        input_tokens=1000,
        max_tokens=1000,
        price=lambda given, made: given * 1e-6 + made * 2e-6,
        alone=alone,
    )


def tell(accounts: Accounts, story: Callable[[Purse], Awaitable[Any]]) -> Standing:
    """How the day stands after *story* and the end of the process."""

    async def whole() -> None:
        purse = Purse(accounts)
        await story(purse)
        purse.close()

    asyncio.run(whole())
    return accounts.standing(scope="day")


def test_while_there_is_plenty_most_calls_wait_for_no_transaction(accounts: Watched) -> None:
    async def story(purse: Purse) -> None:
        for number in range(40):
            purse.settle(await hold(purse, number), money=0.0003, tokens=50)

    standing = tell(accounts, story)

    assert (standing.money, standing.tokens, standing.held_money) == (40 * 300, 40 * 50, 0)
    assert accounts.transactions <= 2, "a tenth of the worst, of which eight were set aside"


def test_never_more_is_set_aside_than_a_part_of_what_is_left(accounts: Watched) -> None:
    async def story(purse: Purse) -> None:
        held = [await hold(purse, run=f"r{number}", most=4 * CALLS * WORST) for number in range(3)]
        standing = accounts.standing(scope="day")
        assert standing.held_money == (CALLS + 2) * WORST, "the first for the calls to come, the others for one each"
        for each in held:
            purse.release(each)

    assert tell(accounts, story).held_money == 0


def test_a_call_that_does_not_fit_is_refused_although_the_run_has_rest_of_others(accounts: Watched) -> None:
    async def story(purse: Purse) -> None:
        first = await hold(purse, 1, most=WORST)
        with pytest.raises(NotYet):
            await hold(purse, 2, most=WORST)
        purse.settle(first, money=0.001, tokens=10)
        with pytest.raises(NotYet):
            await hold(purse, 3, most=WORST)

    standing = tell(accounts, story)
    assert (standing.money, standing.held_money) == (1_000, 0)


def test_calls_side_by_side_draw_from_the_same_and_it_is_written_when_the_last_is_over(accounts: Watched) -> None:
    async def story(purse: Purse) -> None:
        held = [await hold(purse, number) for number in range(CALLS)]
        assert len({each.id for each in held}) == 1
        purse.rest("r1")
        for each in held[1:]:
            purse.settle(each, money=0.001, tokens=1)
        await purse.written()
        assert accounts.standing(scope="day").money == 0
        purse.settle(held[0], money=0.001, tokens=1)
        await purse.written()
        assert accounts.standing(scope="day").money == CALLS * 1_000

    assert tell(accounts, story).held_money == 0


def test_a_call_alone_has_its_own_name_and_is_written_at_once(accounts: Watched) -> None:
    async def story(purse: Purse) -> None:
        for number in range(3):
            held = await hold(purse, number, alone=True)
            assert held.id == f"r1/{number}"
            purse.settle(held, money=0.001, tokens=1)
        await purse.written()
        assert accounts.standing(scope="day").money == 3_000

    tell(accounts, story)


def test_a_commit_that_nobody_knows_of_counts_once(accounts: Watched) -> None:
    async def story(purse: Purse) -> None:
        accounts.lost = 2
        purse.settle(await hold(purse, 1, alone=True), money=0.5, tokens=7)
        with pytest.raises(OperationalError):
            await purse.written()
        await purse.written()

    standing = tell(accounts, story)
    assert (standing.money, standing.tokens) == (500_000, 7)


def test_a_run_that_gives_up_while_it_asks_holds_nothing(accounts: Watched) -> None:
    async def story(purse: Purse) -> None:
        asking = asyncio.ensure_future(hold(purse))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})

    assert tell(accounts, story).held_money == 0
    with accounts.database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM reservation")).scalar() == 0
