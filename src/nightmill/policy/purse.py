"""What runs may spend together: by UTC day, by project and day, and by spec."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from nightmill.errors import LimitReached, NotYet
from nightmill.policy.budget import LEAST_REPLY
from nightmill.store.accounts import Bound, Offer, Short

if TYPE_CHECKING:
    from nightmill.store.accounts import Accounts, Call

__all__ = ["Hold", "Purse", "millionths"]

HELD = 20.0
"""Seconds after which a run looks again whether calls of others have ended and left room."""

CALLS = 8
"""Calls, each at its worst, that a run sets aside at once while there is plenty: most cost a tenth of that."""

LASTS = 30.0
"""Seconds after which what was set aside for calls to come is settled and given back."""

WHAT = {"day": "for this day (UTC)", "project": "of its project for this day (UTC)", "spec": "of the whole spec"}

T = TypeVar("T")

log = logging.getLogger(__name__)


def millionths(dollars: float) -> int:
    """*dollars* in millionths, rounded up."""
    return -(-round(dollars * 1e9) // 1000)


@dataclass(slots=True, eq=False)
class Held:
    """What one row of the store holds, and how much of it is used; *money* and *tokens* are free to be drawn."""

    call: Call
    money: int
    tokens: int
    paid: int = 0
    read: int = 0
    open: int = 0
    settled: bool = False

    def draw(self, reply: int, money: int, tokens: int) -> Hold:
        """Take a call's worst case out."""
        self.money -= money
        self.tokens -= tokens
        self.open += 1
        return Hold(reply, self.call.id, self, money, tokens)


class Hold(NamedTuple):
    """Leave for one call.

    Attributes:
        reply: Tokens that its reply may have.
        id: What pays for it; who keeps the reply keeps this with it, for `Purse.recover`.
    """

    reply: int
    id: str
    held: Held
    money: int
    tokens: int


class Purse:
    """The accounts as one process uses them: nobody waits for a transaction but who has nothing set aside.

    While there is plenty, a run sets aside what several calls can cost at worst and draws its calls from that; what they
    used is written when it is used up, when it is old, or when the run rests. Where there is little, each call is set
    aside by itself. All transactions share one thread, so that a hundred runs do not queue for the one writer that SQLite
    has.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="purse")
        self._unwritten: list[Callable[[], None]] = []
        self._known: set[str] = set()
        self._aside: dict[str, Held] = {}

    async def reserve(
        self,
        call: Call,
        *,
        bounds: Sequence[Bound],
        input_tokens: int,
        max_tokens: int,
        price: Callable[[int, int], float | None],
        alone: bool = False,
    ) -> Hold:
        """Hold what a call can cost at worst, with a reply of at most *max_tokens*, until `settle` or `release`.

        As `policy.reserve`, it makes the reply shorter before it refuses. *call* is the name of what has to be set aside,
        if there is too little so far. *alone*: for this call only, and under this name.

        Raises:
            NotYet: If the day has no room any more, or what others hold leaves none.
            LimitReached: If the spec has used up what it may.
        """
        first = _offer(input_tokens, max_tokens, price)
        aside = None if alone else self._aside.get(call.run)
        if aside and aside.money >= first.money and aside.tokens >= first.tokens:
            return aside.draw(max_tokens, first.money, first.tokens)
        self.rest(call.run)
        offers = _offers(first, input_tokens, price)
        if not alone:
            offers.insert(0, replace(first, money=CALLS * first.money, tokens=CALLS * first.tokens, calls=CALLS))
        try:
            found = await self._do(partial(self.accounts.reserve, call, bounds=bounds, offers=offers))
        except BaseException:  # whoever asked may be gone: what is held meanwhile is given back after it
            self._soon(partial(self.accounts.release, call.id))
            raise
        if isinstance(found, Short):
            raise _refusal(found)
        made = Held(call, found.money, found.tokens)
        if found.calls > 1:
            self.rest(call.run)
            self._aside[call.run] = made
            asyncio.get_running_loop().call_later(LASTS, self._retire, made)
        return made.draw(found.reply, found.money // found.calls, found.tokens // found.calls)

    def settle(self, hold: Hold, *, money: float | None, tokens: int) -> None:
        """The call has used US dollars and tokens. It is written soon, by this process or, if that dies, by the next."""
        used = millionths(money or 0.0)
        hold.held.paid += used
        hold.held.read += tokens
        self._over(hold, money=used, tokens=tokens)

    def release(self, hold: Hold) -> None:
        """The call gave nothing."""
        self._over(hold, money=0, tokens=0)

    def rest(self, run: str) -> None:
        """Give back what *run* has set aside for calls to come."""
        if aside := self._aside.get(run):
            self._retire(aside)

    async def written(self) -> None:
        """Wait until all that was said is in the store."""
        await self._do(_nothing)

    def close(self) -> None:
        """Write what is left; before the store is closed."""
        for run in list(self._aside):
            self.rest(run)
        self._thread.shutdown()

    async def recover(self, run: str, *, worker: str, paid: Callable[[Call], tuple[float | None, int] | None]) -> None:
        """Settle or give back, once, what *run* held in processes before; *paid* says what replies used that it paid for."""
        if run in self._known:
            return
        for call in await self._do(partial(self.accounts.left, run, worker=worker)):
            if (used := paid(call)) is None:
                await self._do(partial(self.accounts.release, call.id))
            else:
                await self._do(partial(self.accounts.settle, call.id, money=millionths(used[0] or 0.0), tokens=used[1]))
        self._known.add(run)

    def _over(self, hold: Hold, *, money: int, tokens: int) -> None:
        held = hold.held
        held.money += hold.money - money
        held.tokens += hold.tokens - tokens
        held.open -= 1
        self._close(held)

    def _retire(self, held: Held) -> None:
        """Let nothing more be drawn from *held*."""
        if self._aside.get(held.call.run) is held:
            del self._aside[held.call.run]
        self._close(held)

    def _close(self, held: Held) -> None:
        """Write what was used of *held*, if that is all."""
        if held.settled or held.open or self._aside.get(held.call.run) is held:
            return
        held.settled = True
        if held.paid or held.read:
            self._soon(partial(self.accounts.settle, held.call.id, money=held.paid, tokens=held.read))
        else:
            self._soon(partial(self.accounts.release, held.call.id))

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


def _offer(given: int, made: int, price: Callable[[int, int], float | None]) -> Offer:
    return Offer(reply=made, money=millionths(price(given, made) or 0.0), tokens=given + made)


def _offers(first: Offer, given: int, price: Callable[[int, int], float | None]) -> list[Offer]:
    """*first*, then calls with half of its reply, and so on down to the shortest that is worth its while."""
    found = [first]
    while found[-1].reply > LEAST_REPLY:
        found.append(_offer(given, max(LEAST_REPLY, found[-1].reply // 2), price))
    return found


def _nothing() -> None:
    """Only what was said before."""


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
