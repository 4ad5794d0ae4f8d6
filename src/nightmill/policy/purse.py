"""What runs may spend together: by UTC day, by project and day, and by spec."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nightmill.errors import LimitReached, NotYet
from nightmill.policy.budget import LEAST_REPLY
from nightmill.store.accounts import Bound, Offer, Short

if TYPE_CHECKING:
    from nightmill.store.accounts import Accounts, Call

__all__ = ["Purse", "millionths"]

HELD = 20.0
"""Seconds after which a run looks again whether calls of others have ended and left room."""

WHAT = {"day": "for this day (UTC)", "project": "of its project for this day (UTC)", "spec": "of the whole spec"}

T = TypeVar("T")

log = logging.getLogger(__name__)


def millionths(dollars: float) -> int:
    """*dollars* in millionths, rounded up."""
    return -(-round(dollars * 1e9) // 1000)


class Purse:
    """The accounts as one process uses them: one transaction before each call, one after it, both off the loop.

    They share one thread, so that a hundred runs do not queue for the one writer that SQLite has.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="purse")
        self._unwritten: list[Callable[[], None]] = []
        self._known: set[str] = set()

    async def reserve(
        self,
        call: Call,
        *,
        bounds: Sequence[Bound],
        input_tokens: int,
        max_tokens: int,
        price: Callable[[int, int], float | None],
    ) -> int:
        """How many tokens the reply to *call* may have, at most *max_tokens*; as much is held until `settle`.

        As `policy.reserve`, it makes the reply shorter before it refuses.

        Raises:
            NotYet: If the day has no room any more, or calls that are under way leave none.
            LimitReached: If the spec has used up what it may.
        """
        offers = _offers(input_tokens, max_tokens, price)
        found = await self._do(partial(self.accounts.reserve, call, bounds=bounds, offers=offers))
        if isinstance(found, Short):
            raise _refusal(found)
        return found.reply

    def settle(self, call: Call, *, money: float | None, tokens: int) -> None:
        """*call* has used US dollars and tokens. It is written soon, by this process or, if that dies, by the next."""
        self._soon(partial(self.accounts.settle, call, money=millionths(money or 0.0), tokens=tokens))

    def release(self, call: Call) -> None:
        """*call* gave nothing."""
        self._soon(partial(self.accounts.release, call.id))

    def close(self) -> None:
        """Write what is left; before the store is closed."""
        self._thread.shutdown()

    async def recover(self, run: str, *, worker: str, paid: Callable[[Call], tuple[float | None, int] | None]) -> None:
        """Settle or give back, once, what *run* held in processes before; *paid* says what a call that had its reply used."""
        if run in self._known:
            return
        for call in await self._do(partial(self.accounts.left, run, worker=worker)):
            if (used := paid(call)) is None:
                await self._do(partial(self.accounts.release, call.id))
            else:
                money, tokens = millionths(used[0] or 0.0), used[1]
                await self._do(partial(self.accounts.settle, call, money=money, tokens=tokens, only_held=True))
        self._known.add(run)

    async def _do(self, work: Callable[[], T]) -> T:
        def all_of_it() -> T:
            self._catch_up()
            return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread, all_of_it)

    def _soon(self, work: Callable[[], None]) -> None:
        self._thread.submit(self._write, work)

    def _write(self, work: Callable[[], None]) -> None:
        self._unwritten.append(work)
        try:
            self._catch_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again before the next decision
            log.warning("what a call used is not written yet: %s", getattr(error, "orig", error))

    def _catch_up(self) -> None:
        while self._unwritten:
            self._unwritten[0]()
            del self._unwritten[0]


def _offers(given: int, most: int, price: Callable[[int, int], float | None]) -> list[Offer]:
    """Calls with replies of *most* tokens, half of it, and so on down to the shortest that is worth its while."""
    sizes = [most]
    while sizes[-1] > LEAST_REPLY:
        sizes.append(max(LEAST_REPLY, sizes[-1] // 2))
    return [Offer(reply=made, money=millionths(price(given, made) or 0.0), tokens=given + made) for made in sizes]


def _refusal(short: Short) -> NotYet | LimitReached:
    standing, bound, what = short.standing, short.bound, WHAT[short.bound.scope]
    if short.lack == "money":
        most = f"${(bound.money + standing.raised) / 1e6:g}"
        used = f"spent: ${standing.money / 1e6:.4f}, held by calls under way: ${standing.held_money / 1e6:.4f}"
    else:
        most = f"{bound.tokens:,} tokens"
        used = f"used: {standing.tokens:,}, held by calls under way: {standing.held_tokens:,}"
    message = f"the next call could pass the budget of {most} {what} ({used})"
    if short.held:
        return NotYet(message, hint="it goes on when those have ended", seconds=HELD)
    if bound.scope == "spec":
        hint = f"raise `budget_spec_{short.lack}` and run the spec again; the work so far is on the run's branch"
        return LimitReached(message, hint=hint, limit=short.lack)
    more = "; `nightmill budget --raise` adds to it" if (bound.scope, short.lack) == ("day", "money") else ""
    return NotYet(message, hint=f"it goes on when the day ends{more}", seconds=short.seconds)
