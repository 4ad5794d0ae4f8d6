"""The gate of a provider's key: all calls with one key go through it, of all runs and all workers of a store.

In a process one call at a time stands at the gate, the others in line behind it, in the order in which they came. It
goes when the provider's wish to wait is over, when each rate has room, and when no more calls are open than went well
before. So one that is told to wait stops all others, and they start again one after another.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nightmill.errors import NotYet
from nightmill.model import rates
from nightmill.model.line import Line
from nightmill.model.rates import Rate

if TYPE_CHECKING:
    from nightmill.model.message import Usage
    from nightmill.store.gates import Gates as Rows

__all__ = ["Gate", "Gates", "Passage"]

FIRST_OPEN = 4.0
"""Calls that are open at once before anything is known of a key; each that the provider takes lets one more in."""

UNSAID, LONGEST_UNSAID = 1.0, 60.0
"""Seconds for which a refusal that names none closes the gate; doubled with each that follows."""

BEHIND = 10.0
"""Seconds after which a run that waited in line in vain comes back, to its old place."""

LOOK = 0.25
"""Seconds between looks: for an end of calls of other workers, where only so many may be open at once; whether another
worker was told to wait or learnt of a rate, where none was known."""

TELL = 1.0
"""Seconds in line after which people are told."""

LONGEST_CALL = 3700.0
"""Seconds after which what a worker said to have open does not count any more."""

LIMITED, OVERLOADED, OK = 429, (503, 529), 200

T = TypeVar("T")

log = logging.getLogger(__name__)


class Gates:
    """The gates of one process.

    *said* is what the setting `rates` says, *patience* the longest wait in seconds, *clock* seconds that only grow,
    *random* gives numbers from 0 to 1.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        worker: str,
        said: Mapping[str, Mapping[str, float]],
        patience: float,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.rows = rows
        self.clock = clock
        self.random = random
        self.worker = worker
        self.said = said
        self.patience = max(patience, 1.0)
        self._found: dict[str, Gate] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gate")

    def of(self, account: str, *, secret: str, address: str) -> Gate:
        """The gate of the *account* with the key *secret* at *address*; of a key only a digest is kept."""
        key = hashlib.sha256(f"{secret} {address}".encode()).hexdigest()[:32]
        if key not in self._found:
            self._found[key] = Gate(self, key, name=f"{account} at {address}", account=account)
        return self._found[key]

    async def do(self, work: Callable[[], T]) -> T:
        """Run *work* in the gates' own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def soon(self, work: Callable[[], object]) -> None:
        """Run *work* there, and wait for nothing."""
        self._thread.submit(_told_if_it_fails, work)

    def close(self) -> None:
        """Write what is left; before the store is closed."""
        self._thread.shutdown()


@dataclass(slots=True, eq=False)
class Passage:
    """One call that went through: who made it says what it heard, and when it is over."""

    gate: Gate
    conversation: str
    size: int
    load: dict[str, float]
    went: float
    used: Usage | None = None
    """What a call that gave a reply has used."""
    limited: bool = False

    def heard(self, status: int, headers: Mapping[str, str], *, wait: float | None) -> None:
        """Take note of the head of a reply; *wait* is the provider's wish in seconds."""
        self.limited = self.gate.learn(self, status, rates.told(headers), wait)

    def leave(self) -> None:
        """The call is over."""
        self.gate.leave(self)


class News(NamedTuple):
    """What one process knows and the row does not: (bound, left, when) by kind, and tokens to add to the sums."""

    learnt: dict[str, tuple[float, float, float]]
    due: dict[str, float]


class Answer(NamedTuple):
    """What the row says: seconds to wait, whether the load is in its sums, whether the news are."""

    wait: float = 0.0
    booked: bool = False
    entered: bool = False


@dataclass(slots=True, eq=False)
class Gate:
    """One key at one address."""

    gates: Gates
    key: str
    name: str
    account: str
    open: int = 0
    window: float = FIRST_OPEN
    slow: float = float("inf")
    """Open calls from which on the window grows by one each time that all of it went well, not by one for each."""
    refused: int = 0
    """Refusals in a row that named no time."""
    shrunk: float = -1.0
    _ratio: float = 0.25
    _typical: float = 1000.0
    _line: Line = field(default_factory=Line)
    _bound: bool = False
    """Whether a rate was known last time."""
    _free: float = -1.0
    """Until then nothing need be looked up: just now nobody had said anything that binds."""
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _learnt: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    _believed: set[str] = field(default_factory=set)
    """Kinds whose bound a reply has told that was let through: a refusal alone binds nobody for longer than it says."""
    _due: dict[str, float] = field(default_factory=dict)

    async def enter(self, conversation: str, *, size: int, most: int, tell: Callable[[str], None]) -> Passage:
        """Wait until a call with a body of *size* bytes, for a reply of *most* tokens, may be made.

        Raises:
            NotYet: If that takes longer than the patience; whoever comes back has its old place in line.
        """
        place = self._line.place(conversation)
        words = asyncio.get_running_loop().call_later(TELL, lambda: tell(self._words()))
        given = size * self._ratio
        made = min(float(most), self._typical)
        load = {"requests": 1.0, "input": given, "output": made, "tokens": given + made}
        try:
            async with asyncio.timeout(self.gates.patience):
                await self._line.stand(place)
                try:
                    await self._pass(load)
                    self.open += 1
                finally:
                    self._line.next()
        except TimeoutError:
            raise NotYet(self._words(), seconds=BEHIND * (1 + self.gates.random() / 2)) from None
        finally:
            words.cancel()
        return Passage(self, conversation, size, load, self.gates.clock())

    def _words(self) -> str:
        return f"{len(self._line)} calls wait for the rate of {self.name}"

    # At the gate

    async def _pass(self, load: dict[str, float]) -> None:
        booked = False
        while True:
            while self.open >= max(1.0, min(self.window, self._at_once())):
                self._room.clear()
                await self._room.wait()
            if self.gates.clock() < self._free and not (booked or self._learnt):
                return
            news = News(dict(self._learnt), dict(self._due))
            answer = await self.gates.do(partial(self._ask, load, news, booked=booked))
            booked = answer.booked
            if answer.entered:
                self._forget(news)
            if answer.wait > self.gates.patience:
                wait = answer.wait * (1 + self.gates.random() / 10)
                raise NotYet(f"{self.name} wants no calls for {answer.wait:.0f} s", seconds=wait)
            if not answer.wait:
                self._free = -1.0 if self._bound or self._said() else self.gates.clock() + LOOK
                return
            await asyncio.sleep(answer.wait)

    def _forget(self, news: News) -> None:
        """What is in the row need not be entered again."""
        for kind, learnt in news.learnt.items():
            if self._learnt.get(kind) == learnt:
                del self._learnt[kind]
        for kind, tokens in news.due.items():
            self._due[kind] -= tokens

    def _at_once(self) -> float:
        return self._said().get("open", float("inf"))

    def _said(self) -> Mapping[str, float]:
        return self.gates.said.get(self.account, {})

    def _rates(self, body: Mapping[str, Any]) -> dict[str, Rate]:
        said = self._said()
        learnt = {kind: Rate.learnt(minute) for kind, minute in body.get("limits", {}).items() if kind not in said}
        return learnt | {kind: Rate.said(minute) for kind, minute in said.items() if kind in rates.KINDS}

    def _ask(self, load: dict[str, float], news: News, *, booked: bool) -> Answer:
        """Look, in the gates' thread, whether *load* may go. Nothing is written where nothing bounds."""
        if booked or not (self._bound or news.learnt or self._said()):
            body, now = self.gates.rows.look(self.key)
            if (closed := float(body.get("closed", 0.0)) - now) > 0:
                return Answer(wait=closed, booked=booked)
            self._bound = bool(self._rates(body))
            if booked or not self._bound:
                return Answer(booked=True)
        dead = self.gates.rows.dead() if "open" in self._said() else set()
        return self.gates.rows.change(self.key, name=self.name, by=partial(self._book, load, news, dead))

    def _book(self, load: dict[str, float], news: News, dead: set[str], body: dict[str, Any], now: float) -> Answer:
        """Enter *load* in the sums of the row, at once for the time when it may go: who books first goes first."""
        if (closed := float(body.get("closed", 0.0)) - now) > 0:
            return Answer(wait=closed)
        self._bring_up(body, now, news)
        self._bound = True
        self._write_open(body, now)
        counts = (each for worker, (each, at) in body["open"].items() if worker not in dead and now - at < LONGEST_CALL)
        if sum(counts) >= self._at_once():
            return Answer(wait=LOOK * (1 + self.gates.random()), entered=True)
        found, levels = self._rates(body), body["levels"]
        wait = rates.wait(found, levels, load, now=now)
        if wait > self.gates.patience:
            return Answer(wait=wait, entered=True)
        for kind in found:
            levels[kind][0] += load[kind]
        self._write_open(body, now, more=1)
        return Answer(wait=wait, booked=True, entered=True)

    def _bring_up(self, body: dict[str, Any], now: float, news: News) -> None:
        """Enter what was learnt, and what calls used more or less than estimated."""
        body.setdefault("limits", {}).update({kind: limit for kind, (limit, _, _) in news.learnt.items()})
        found, levels = self._rates(body), body.setdefault("levels", {})
        rates.wait(found, levels, dict.fromkeys(rates.KINDS, 0.0), now=now)
        for kind, rate in found.items():
            levels[kind][0] = max(0.0, levels[kind][0] + news.due.get(kind, 0.0))
            if kind in news.learnt and kind not in self._said():
                limit, left, heard = news.learnt[kind]
                levels[kind][0] = max(levels[kind][0], limit - left - rate.speed * (self.gates.clock() - heard))

    def _write_open(self, body: dict[str, Any], now: float, *, more: int = 0) -> None:
        body.setdefault("open", {})[self.gates.worker] = [self.open + more, now]

    # After it

    def learn(self, passage: Passage, status: int, said: Mapping[str, tuple[float, float]], wait: float | None) -> bool:
        """Take note of the head of a reply; whether the call was refused for its rate."""
        if status == OK:
            self._believed |= said.keys()
        for kind, (limit, left) in said.items():
            if kind in self._believed:
                self._learnt[kind] = (limit, left, self.gates.clock())
        limited = status == LIMITED or (status in OVERLOADED and wait is not None)
        if limited:
            self._close(passage, wait)
        elif status == OK:
            self.refused = 0
            self.window += 1.0 if self.window < self.slow else 1.0 / self.window
            self._room.set()
        return limited

    def _close(self, passage: Passage, wait: float | None) -> None:
        if passage.went > self.shrunk:  # those that were under way together are one refusal
            self.slow, self.window = max(2.0, self.open / 2), 1.0
            self.shrunk = self.gates.clock()
            self.refused += 1
        seconds = min(LONGEST_UNSAID, UNSAID * 2.0 ** (self.refused - 1)) if wait is None else wait
        seconds *= 1 + self.gates.random() / 10
        self._free = -1.0
        self.gates.soon(partial(self.gates.rows.change, self.key, name=self.name, by=partial(_closed, seconds)))

    def leave(self, passage: Passage) -> None:
        """The call is over."""
        self.open -= 1
        self._room.set()
        if not passage.limited:
            self._line.leave(passage.conversation)
        if passage.used is not None:
            self._settle(passage, passage.used)
        elif not passage.limited:
            for kind in ("input", "output", "tokens"):
                self._due[kind] = self._due.get(kind, 0.0) - passage.load[kind]
        if "open" in self._said():
            self.gates.soon(partial(self.gates.rows.change, self.key, name=self.name, by=self._write_open))

    def _settle(self, passage: Passage, usage: Usage) -> None:
        # Anthropic does not count what it reads from its cache.
        given = usage.input - (usage.cache_read if self.account == "anthropic" else 0)
        used = {"input": given, "output": usage.output, "tokens": given + usage.output}
        for kind, tokens in used.items():
            self._due[kind] = self._due.get(kind, 0.0) + tokens - passage.load[kind]
        self._ratio += 0.2 * (given / max(1, passage.size) - self._ratio)
        self._typical += 0.2 * (usage.output - self._typical)


def _closed(seconds: float, body: dict[str, Any], now: float) -> None:
    body["closed"] = max(float(body.get("closed", 0.0)), now + seconds)


def _told_if_it_fails(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the next call looks for itself
        log.warning("the gate's row cannot be written: %s", getattr(error, "orig", error))
