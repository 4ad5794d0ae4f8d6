"""What an external agent's model calls use: set aside before each, written down after it, never more than the budget.

The account is a file beside the run's snapshots, a line when a call begins and one when it ends. A worker that dies
leaves calls begun: what was set aside for them then counts as used, because nobody knows better.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nightmill import event
from nightmill.errors import NightmillError, SandboxError
from nightmill.model import Usage
from nightmill.policy import Budget, Spent, reserve

if TYPE_CHECKING:
    from nightmill.event import Emit
    from nightmill.model.foreign import Foreign
    from nightmill.model.passing import Call, Given
    from nightmill.policy.purse import Hold, Purse
    from nightmill.store.accounts import Bound
    from nightmill.store.accounts import Call as Account

__all__ = ["Meter", "Ticket", "Used"]

Price = Callable[[int, int], float | None]
"""US dollars for tokens in and out, None if nobody knows."""

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


class _Held(NamedTuple):
    """What is set aside for a call: tokens in, tokens out, US dollars."""

    given: int
    made: int
    cost: float | None


class _Reply(NamedTuple):
    """A reply that was paid for: the key of its question, its content type, its blob."""

    key: str
    kind: str
    blob: str


@dataclass(slots=True, kw_only=True)
class Meter:
    """The account of one run. *seconds* tells for how long it has worked; *turn* is that of the call, for the ledger."""

    run: str
    file: Path
    budget: Budget
    max_tokens: int
    emit: Emit
    seconds: Callable[[], float]
    began: Callable[[], None]
    """Told that the agent asks: what it did before it is done."""
    free: asyncio.Event
    """Set while replies may reach the agent."""
    purse: Purse
    bounds: tuple[Bound, ...]
    """What runs may spend together."""
    account: Callable[[str], Account]
    """A call of this run by its key, as the accounts know it."""
    keep: Callable[[bytes], str]
    """Keeps the body of a reply and names it."""
    turn: int = 1
    stop: NightmillError | None = None
    """Why a question is not answered."""
    failed: Call | None = None
    """The latest call, if the provider did not answer it."""
    used: Used = Used()
    had: Used = Used()
    """What calls have used whose replies the agent has had, or never will."""
    open: int = 0
    """Questions that are not answered yet."""

    _number: int = 0
    _past: dict[str, tuple[float | None, int]] = field(default_factory=dict)
    _held: dict[int, _Held] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _replies: dict[int, _Reply] = field(default_factory=dict)
    _undelivered: dict[int, Call | None] = field(default_factory=dict)
    _lost: dict[str, list[int]] = field(default_factory=dict)

    def load(self) -> None:
        """Add up what the file holds: of a call that only began, all that was set aside."""
        self.used = Used()
        begun: dict[int, _Held] = {}
        for told in self._lines():
            number = told["call"]
            self._number = max(self._number, number)
            if "begun" in told:
                begun[number] = _Held(*told["begun"])
                continue
            begun.pop(number, None)
            ended = told["ended"]
            usage = Usage(**ended["usage"])
            self.used = self.used.plus(usage, ended["cost"], ended["seconds"])
            self._past[_key(number)] = ended["cost"], usage.input + usage.output
            if "reply" in told:
                self._replies[number] = _Reply(*told["reply"])
        for number, held in begun.items():
            self.used = self.used.plus(Usage(input=held.given, output=held.made), held.cost, 0.0)
            self._past[_key(number)] = held.cost, held.given + held.made
        self.had = self.used

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A question of the agent's is open."""
        self.open += 1
        try:
            self.began()
            yield
        finally:
            self.open -= 1

    @property
    def asked_in(self) -> int:
        """The turn that a question belongs to: the next one, where its answer is held back for the checkpoint of this."""
        return self.turn + (not self.free.is_set())

    def halt(self, error: NightmillError) -> None:
        """A question cannot be answered: the first that says why counts."""
        self.stop = self.stop or error
        self.began()

    # What was paid for and did not arrive

    def mark(self) -> list[int]:
        """What a checkpoint has to say for `go_back`: the newest call, and those whose reply the agent has not had."""
        return [self._number, *sorted(self._undelivered)]

    def go_back(self, mark: Sequence[int]) -> None:
        """The agent is where it was when *mark* was made: replies that came since are there to be asked for, once each."""
        newest, waiting = (mark[0], set(mark[1:])) if mark else (0, set())
        self._lost, self._undelivered, self.had = {}, {}, self.used
        for number, reply in sorted(self._replies.items()):
            if number > newest or number in waiting:
                self._lost.setdefault(reply.key, []).append(number)

    def lost(self, keys: Sequence[str]) -> tuple[int, str, str] | None:
        """(call, content type, name) of the oldest lost reply to a question with the first of *keys* that has one."""
        numbers = next((found for key in keys if (found := self._lost.get(key))), None)
        if not numbers:
            return None
        number = numbers.pop(0)
        self._undelivered[number] = None
        return number, self._replies[number].kind, self._replies[number].blob

    def delivered(self, number: int) -> None:
        """The agent gets the reply of a call."""
        self._count(self._undelivered.pop(number, None))

    # What a call may cost

    async def reserve(self, asked: Foreign, *, price: Price) -> Ticket:
        """Set aside what *asked* can use at most, of the run's budget and of what runs share.

        Raises:
            LimitReached: If that is more than is left; the run then stops.
            NotYet: If the day has no room for it; the run then waits.
            SandboxError: If it cannot be written down.
        """
        await self.purse.recover(self.run, worker=self.account("").worker, paid=self._paid)
        self._number += 1
        number, given, hold = self._number, self._estimate(asked), None
        try:
            allowed = self._allowed(asked, given, price)
            self._held[number] = _Held(given, allowed, price(given, allowed))
            hold = await self.purse.reserve(
                self.account(_key(number)),
                bounds=self.bounds,
                input_tokens=given,
                max_tokens=allowed,
                price=price,
                alone=True,
            )
            self._held[number] = held = _Held(given, hold.reply, price(given, hold.reply))
            self._write({"call": number, "begun": held})
        except BaseException:  # it is refused, or who asked hung up, or it cannot be written down
            self._held.pop(number, None)
            if hold:
                self.purse.release(hold)
            raise
        self._undelivered[number] = None
        return Ticket(meter=self, number=number, asked=asked, held=held, hold=hold, price=price)

    def settle(self, ticket: Ticket, call: Call, given: Given | None) -> None:
        """Write down what *call* used and what it gave, and tell it."""
        self._held.pop(ticket.number, None)
        call = _charged(ticket, call)
        if call.complete and call.usage.input:
            self._sizes[ticket.asked.prefixes[-1].digest] = call.usage.input
            while len(self._sizes) > REMEMBERED:
                del self._sizes[next(iter(self._sizes))]
        self.failed = None if call.complete else call
        self.used = self.used.plus(call.usage, call.cost, call.seconds)
        ended = {"usage": asdict(call.usage), "cost": call.cost, "seconds": call.seconds, "status": call.status}
        told: dict[str, Any] = {"call": ticket.number, "ended": ended}
        if given is not None and call.complete:
            reply = _Reply(ticket.asked.keys[0], given.kind, self.keep(given.body))
            self._replies[ticket.number] = told["reply"] = reply
        self._undelivered[ticket.number] = call
        if given is None:
            self.delivered(ticket.number)
        self._write(told)
        if call.usage == Usage():
            self.purse.release(ticket.hold)
        else:
            self.purse.settle(ticket.hold, money=call.cost, tokens=call.usage.input + call.usage.output)
        self._tell(call)

    def _count(self, call: Call | None) -> None:
        if call is not None:
            self.had = self.had.plus(call.usage, call.cost, call.seconds)

    def _allowed(self, asked: Foreign, given: int, price: Price) -> int:
        held = self._held.values()
        spent = Spent(
            turns=self.used.calls + len(held),
            tokens=self.used.usage.input + self.used.usage.output + sum(each.given + each.made for each in held),
            money=self.used.cost + sum(each.cost or 0.0 for each in held),
            seconds=self.seconds(),
        )
        wanted = min(asked.wanted or self.max_tokens, self.max_tokens)
        return reserve(self.budget, spent, input_tokens=given, max_tokens=wanted, price=price)

    def _paid(self, call: Account) -> tuple[float | None, int] | None:
        """What a call of a process before this one used; None: it was never made."""
        return self._past.get(call.id.rpartition("/")[2])

    def _tell(self, call: Call) -> None:
        if call.complete:
            self.emit(
                event.ReplyReceived(
                    run=self.run,
                    turn=self.asked_in,
                    first_seconds=call.first_seconds,
                    seconds=call.seconds,
                    output_tokens=call.usage.output,
                )
            )

    def _estimate(self, asked: Foreign) -> int:
        """Tokens of the request, rather too high: of what a model read before just so, what it was counted as."""
        whole = asked.size
        for prefix in reversed(asked.prefixes):
            if (tokens := self._sizes.get(prefix.digest)) is not None:
                return tokens + (whole - prefix.size) // 2 + 1
        return whole // 2 + 1

    # The file

    def _lines(self) -> Iterator[dict[str, Any]]:
        """What the file says. A worker that died may have left half a line: the next must not go on in it."""
        body = self.file.read_bytes() if self.file.exists() else b""
        if body and not body.endswith(b"\n"):
            self._append(b"\n")
        for line in body.splitlines():
            with suppress(ValueError):
                yield json.loads(line)

    def _write(self, told: dict[str, Any]) -> None:
        """Add a line; a call that cannot be written down is not made."""
        self._append(json.dumps(told).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab") as file:
                file.write(line)
        except OSError as error:
            hint = "free space on the disk that holds nightmill's home, then resume"
            raise SandboxError(
                f"a call cannot be written down in {str(self.file)!r}: {error.strerror}", hint=hint
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Leave to send one request; *held* is set aside for it."""

    meter: Meter
    number: int
    asked: Foreign
    held: _Held
    hold: Hold
    price: Price

    @property
    def allowed(self) -> int:
        """Tokens that the reply may have."""
        return self.held.made

    def settle(self, call: Call, given: Given | None) -> None:
        """Take note of how it ended, once, and of what it gave."""
        self.meter.settle(self, call, given)


def _key(number: int) -> str:
    return f"external-{number}"


def _charged(ticket: Ticket, call: Call) -> Call:
    """*call* with what it has to be charged with: of a reply that was cut off, what was estimated and seen."""
    if call.complete or call.status != OK:
        return call
    output = min(max(call.usage.output, call.said // 3 + 1), ticket.allowed)
    usage = replace(call.usage, input=max(call.usage.input, ticket.held.given), output=output)
    return replace(call, usage=usage, cost=ticket.price(usage.input, usage.output))
