"""What an external agent's model calls use: set aside before each, written down after it, never more than the budget.

The account is a file beside the run's snapshots, a line when a call begins and one when it ends. A worker that dies
leaves calls begun: what was set aside for them then counts as used, because nobody knows better.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightmill import event
from nightmill.errors import LimitReached, NotYet, SandboxError
from nightmill.model import Usage
from nightmill.policy import Budget, Spent, reserve

if TYPE_CHECKING:
    from nightmill.event import Emit
    from nightmill.model.foreign import Foreign
    from nightmill.model.gateway import Call
    from nightmill.policy.purse import Purse
    from nightmill.store.accounts import Bound
    from nightmill.store.accounts import Call as Account

__all__ = ["Meter", "Used"]

REMEMBERED = 64
"""Conversations, as far as they went, of which it is known how many tokens they are."""
OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What calls have used. *priced*: every price was known, so that *cost* is the whole cost."""

    calls: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    priced: bool = True
    seconds: float = 0.0

    def plus(self, usage: Usage, cost: float | None, seconds: float) -> Used:
        """One call more; one that used nothing was none."""
        if usage == Usage():
            return self
        return Used(
            calls=self.calls + 1,
            usage=self.usage + usage,
            cost=self.cost + (cost or 0.0),
            priced=self.priced and cost is not None,
            seconds=self.seconds + seconds,
        )


@dataclass(slots=True, kw_only=True)
class Meter:
    """The account of one run. *seconds* tells for how long it has worked; *turn* is that of the call, for the ledger."""

    run: str
    file: Path
    budget: Budget
    max_tokens: int
    price: Callable[[int, int], float | None]
    emit: Emit
    seconds: Callable[[], float]
    began: Callable[[], None]
    """Told that a call begins: what the agent did before it is done."""
    free: asyncio.Event
    """Set while replies may reach the agent."""
    purse: Purse
    bounds: tuple[Bound, ...]
    """What runs may spend together."""
    account: Callable[[str], Account]
    """A call of this run by its key, as the accounts know it."""
    turn: int = 1
    limit: LimitReached | NotYet | None = None
    """The bound that a call would have passed."""
    failed: Call | None = None
    """The latest call, if the provider did not answer it."""
    used: Used = Used()

    _number: int = 0
    _past: dict[str, tuple[float | None, int]] = field(default_factory=dict)
    _held: dict[int, tuple[int, int]] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    def load(self) -> None:
        """Add up what the file holds: of a call that only began, all that was set aside."""
        self.used = Used()
        begun: dict[int, list[int]] = {}
        lines = self.file.read_bytes().splitlines() if self.file.exists() else []
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # the last one of a worker that died
            self._number = max(self._number, told["call"])
            if "ended" in told:
                begun.pop(told["call"], None)
                ended = told["ended"]
                usage = Usage(**ended["usage"])
                self.used = self.used.plus(usage, ended["cost"], ended["seconds"])
                self._past[_key(told["call"])] = ended["cost"], usage.input + usage.output
            else:
                begun[told["call"]] = told["begun"]
        for number, (given, made) in begun.items():
            cost = self.price(given, made)
            self.used = self.used.plus(Usage(input=given, output=made), cost, 0.0)
            self._past[_key(number)] = cost, given + made

    @property
    def open(self) -> int:
        """Calls that the provider has not answered yet."""
        return len(self._held)

    async def reserve(self, asked: Foreign) -> Ticket:
        """Set aside what *asked* can use at most, of the run's budget and of what runs share.

        Raises:
            LimitReached: If that is more than is left; the run then stops.
            NotYet: If the day has no room for it; the run then waits.
        """
        await self.purse.recover(self.run, worker=self.account("").worker, paid=self._paid)
        self._number += 1
        number, given = self._number, self._estimate(asked)
        try:
            allowed = self._allowed(asked, given)
            self._held[number] = given, allowed
            allowed = await self.purse.reserve(
                self.account(_key(number)),
                bounds=self.bounds,
                input_tokens=given,
                max_tokens=allowed,
                price=self.price,
            )
        except (LimitReached, NotYet) as limit:
            self._held.pop(number, None)
            self.limit = limit
            self.began()
            raise
        except BaseException:  # who asked hung up: what is held meanwhile is given back after it
            self._held.pop(number, None)
            self.purse.release(self.account(_key(number)))
            raise
        self._held[number] = given, allowed
        self._write({"call": number, "begun": (given, allowed)})
        self.began()
        return Ticket(meter=self, number=number, asked=asked, given=given, allowed=allowed)

    def settle(self, ticket: Ticket, call: Call) -> None:
        """Write down what *call* used, and tell it."""
        self._held.pop(ticket.number, None)
        call = _charged(ticket, call)
        if call.complete and call.usage.input:
            self._sizes[ticket.asked.prefixes[-1].digest] = call.usage.input
            while len(self._sizes) > REMEMBERED:
                del self._sizes[next(iter(self._sizes))]
        self.failed = None if call.complete else call
        self.used = self.used.plus(call.usage, call.cost, call.seconds)
        ended = {"usage": asdict(call.usage), "cost": call.cost, "seconds": call.seconds, "status": call.status}
        self._write({"call": ticket.number, "ended": ended})
        account = self.account(_key(ticket.number))
        if call.usage == Usage():
            self.purse.release(account)
        else:
            self.purse.settle(account, money=call.cost, tokens=call.usage.input + call.usage.output)
        self._tell(call)

    def _allowed(self, asked: Foreign, given: int) -> int:
        held = self._held.values()
        spent = Spent(
            turns=self.used.calls + len(held),
            tokens=self.used.usage.input + self.used.usage.output + sum(map(sum, held)),
            money=self.used.cost + sum(self.price(*pair) or 0.0 for pair in held),
            seconds=self.seconds(),
        )
        wanted = min(asked.wanted or self.max_tokens, self.max_tokens)
        return reserve(self.budget, spent, input_tokens=given, max_tokens=wanted, price=self.price)

    def _paid(self, call: Account) -> tuple[float | None, int] | None:
        """What a call of a process before this one used; None: it was never made."""
        return self._past.get(call.id.rpartition("/")[2])

    def _tell(self, call: Call) -> None:
        if call.complete:
            self.emit(
                event.ReplyReceived(
                    run=self.run,
                    turn=self.turn,
                    first_seconds=call.first_seconds,
                    seconds=call.seconds,
                    output_tokens=call.usage.output,
                )
            )
        else:
            reason = call.reason or "the reply was not received whole"
            self.emit(
                event.ModelRetried(run=self.run, turn=self.turn, reason=reason, wait=0.0, attempt=self.used.calls)
            )

    def _estimate(self, asked: Foreign) -> int:
        """Tokens of the request, rather too high: of what a model read before just so, what it was counted as."""
        whole = asked.prefixes[-1].size
        for prefix in reversed(asked.prefixes):
            if (tokens := self._sizes.get(prefix.digest)) is not None:
                return tokens + (whole - prefix.size) // 2 + 1
        return whole // 2 + 1

    def _write(self, told: dict[str, Any]) -> None:
        """Add a line; a call that cannot be written down is not made."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab") as file:
                file.write(json.dumps(told).encode() + b"\n")
        except OSError as error:
            hint = "free space on the disk that holds nightmill's home, then resume"
            raise SandboxError(
                f"a call cannot be written down in {str(self.file)!r}: {error.strerror}", hint=hint
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Leave to send one request of about *given* tokens, for a reply of at most *allowed*."""

    meter: Meter
    number: int
    asked: Foreign
    given: int
    allowed: int

    async def admitted(self) -> None:
        """Wait until the reply may reach the agent: what it did before is in a snapshot by then."""
        await self.meter.free.wait()

    def settle(self, call: Call) -> None:
        """Take note of how it ended."""
        self.meter.settle(self, call)


def _key(number: int) -> str:
    return f"external-{number}"


def _charged(ticket: Ticket, call: Call) -> Call:
    """*call* with what it has to be charged with: of a reply that was cut off, what was estimated and seen."""
    if call.complete or call.status != OK:
        return call
    output = min(max(call.usage.output, call.said // 3 + 1), ticket.allowed)
    usage = replace(call.usage, input=max(call.usage.input, ticket.given), output=output)
    return replace(call, usage=usage, cost=ticket.meter.price(usage.input, usage.output))
