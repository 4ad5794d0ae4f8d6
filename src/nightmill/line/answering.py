"""An external agent's questions to its model: kept, answered once, and by whichever model of the list is well.

The order is that of our own questions: request kept → money set aside → gate of the key → reply whole and in the account
→ checkpoint of the turn before → answer. What keeps a question from being answered is the run's affair and not the agent's:
its question stays open until the run has stopped or parked.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.errors import ModelError, ModelRefused, NightmillError
from nightmill.line.assignment import price
from nightmill.line.forwarded import Forwarded, able, body_for, same_dialect, translated
from nightmill.model.again import Load, Surroundings, persist
from nightmill.model.connect import endpoint, gate_of, spoken
from nightmill.model.front import FRONTS, Untranslatable
from nightmill.model.passing import Given, Pass, Seen
from nightmill.model.route import Route
from nightmill.model.transport import HttpModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightmill.line.assignment import Assignment
    from nightmill.line.machines import Machines
    from nightmill.line.meter import Meter, Ticket
    from nightmill.model.foreign import Foreign
    from nightmill.model.gate import Passage
    from nightmill.model.gateway import Stream
    from nightmill.model.route import Choice, Trial
    from nightmill.model.transport import Endpoint

__all__ = ["Answering", "Way"]

HELD = 45.0
"""Seconds after which an answer goes out as it comes, and is not asked again when it is cut off."""
OK = 200


@dataclass(slots=True, kw_only=True)
class Answering:
    """All questions of one external agent in one run, in this process."""

    run: str
    machines: Machines
    assignment: Assignment
    meter: Meter
    forwarded: Forwarded = field(init=False)
    _asked: str = ""

    def __post_init__(self) -> None:
        self.forwarded = Forwarded(self.machines.blobs)
        self._asked = self.assignment.model

    async def answer(self, asked: Foreign, header: Callable[[str], str], out: Stream) -> None:
        """Answer *asked* on *out*; an answer that was paid for and lost with its asker is given again.

        Raises:
            ModelRefused: If the request as such is refused: the agent may have a remedy.
        """
        with self.meter.asking():
            way = Way(out, self.meter.free, self.machines.clock)
            try:
                number, given = self._lost(asked) or await self._ask(asked, header, way)
            except NightmillError as error:
                if isinstance(error, ModelRefused) and not error.whole:
                    raise
                self.meter.halt(error)
                await asyncio.Event().wait()  # until the asker is gone
            await self.meter.free.wait()
            self.meter.delivered(number)
            await way.end(given)

    def _lost(self, asked: Foreign) -> tuple[int, Given] | None:
        found = self.meter.lost(asked.keys)
        if found is None:
            return None
        number, kind, blob = found
        return number, Given(status=OK, kind=kind, body=self.machines.blobs.get(blob))

    # Who is asked

    async def _ask(self, asked: Foreign, header: Callable[[str], str], way: Way) -> tuple[int, Given]:
        try:
            for trial in (await self._route(asked)).trials():
                found = await self._try(trial, asked, header, way)
                if found is not None:
                    return found
        except _Halted as halted:
            raise halted.error from None
        raise AssertionError("the last trial returns or raises")

    async def _route(self, asked: Foreign) -> Route:
        """The models that can be asked this.

        Raises:
            ModelRefused: If there is none.
        """
        listed = able(self.assignment)
        fit = [same_dialect(asked, spoken(choice.name, base_url=choice.base_url)) for choice in listed]
        why = "" if all(fit) else await asyncio.to_thread(_untranslatable, asked)
        fitting = tuple(choice for choice, same in zip(listed, fit, strict=True) if same or not why)
        if not fitting:
            who = " and ".join(choice.name for choice in listed)
            raise ModelRefused(f"{who} cannot be asked this in {asked.dialect!r}: {why}")
        return Route(fitting, self.machines.circuits)

    async def _try(
        self, trial: Trial, asked: Foreign, header: Callable[[str], str], way: Way
    ) -> tuple[int, Given] | None:
        """The answer of one model; None if another may be asked instead."""
        machines, choice = self.machines, trial.choice
        with trial:
            self._tell(trial)
            found = endpoint(choice.name, keys=machines.keys, base_url=choice.base_url)
            world = Surroundings(
                client=machines.client,
                sleep=asyncio.sleep,
                random=random.random,
                clock=machines.clock,
                gate=gate_of(found, machines.gates),
            )
            one = _One(self, asked, found, choice, world, header, way)
            most = min(asked.wanted or self.meter.max_tokens, self.meter.max_tokens)
            load = Load(conversation=self.run, size=asked.size, most=most)
            return await persist(one.once, load=load, world=world, settings=machines.settings, notice=self._notice)
        return None

    def _tell(self, trial: Trial) -> None:
        name = trial.choice.name
        if name != self._asked:
            told = event.ModelSwitched(
                run=self.run, turn=self.meter.asked_in, model=name, before=self._asked, reason=trial.passed
            )
            self.machines.ledger.emit(told)
            self._asked = name

    def _notice(self, reason: str, wait: float, attempt: int) -> None:
        emit, run, turn = self.machines.ledger.emit, self.run, self.meter.asked_in
        if attempt:
            emit(event.ModelRetried(run=run, turn=turn, reason=reason, wait=wait, attempt=attempt))
        else:
            emit(event.ModelAwaited(run=run, turn=turn, reason=reason))


class _Halted(Exception):
    def __init__(self, error: NightmillError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class _One:
    """One question to one model; each sending of it is a call that is paid for."""

    desk: Answering
    asked: Foreign
    endpoint: Endpoint
    choice: Choice
    world: Surroundings
    header: Callable[[str], str]
    way: Way

    async def once(self, passage: Passage | None) -> tuple[int, Given]:
        """Send it."""
        ticket = await self._reserve()
        seen, given = Seen(self.world.clock), None
        try:
            body = await asyncio.to_thread(body_for, self.asked, self.choice, allowed=ticket.allowed)
            await self._keep(ticket, body)
            if same_dialect(self.asked, self.endpoint.dialect):
                given = await self._pass(body, passage, seen)
            else:
                given = await self._translate(body, passage, seen, ticket)
        except ModelError as error:
            seen.reason = seen.reason or error.message
            raise
        finally:
            ticket.settle(seen.call(self.endpoint), given)
        return ticket.number, given

    async def _reserve(self) -> Ticket:
        try:
            return await self.desk.meter.reserve(self.asked, price=price(self.choice))
        except NightmillError as error:
            raise _Halted(error) from error

    async def _keep(self, ticket: Ticket, body: bytes) -> None:
        try:
            kept = await asyncio.to_thread(self.desk.forwarded.keep, self.asked)
        except NightmillError as error:
            raise _Halted(error) from error
        self.desk.machines.ledger.emit(
            event.RequestForwarded(
                run=self.desk.run,
                turn=self.desk.meter.asked_in,
                call=ticket.number,
                model=self.choice.name,
                dialect=self.asked.dialect,
                asked=kept,
                sent=sha256(body).hexdigest(),
                allowed=ticket.allowed,
            )
        )

    async def _pass(self, body: bytes, passage: Passage | None, seen: Seen) -> Given:
        one = Pass(endpoint=self.endpoint, world=self.world, body=body, streams=self.asked.streams, header=self.header)
        return await one.answer(passage, self.way, seen)

    async def _translate(self, body: bytes, passage: Passage | None, seen: Seen, ticket: Ticket) -> Given:
        settings = self.desk.machines.settings
        model = HttpModel(endpoint=self.endpoint, settings=settings, surroundings=self.world)
        request = translated(self.asked, self.choice, allowed=ticket.allowed)
        reply = await model.once(request, body, passage)
        seen.take_reply(reply)
        kind, text = FRONTS[self.asked.dialect].write(reply, self.asked.body, streams=self.asked.streams)
        return Given(status=OK, kind=kind, body=text)


class Way:
    """The way of one answer to who asked."""

    def __init__(self, out: Stream, free: asyncio.Event, clock: Callable[[], float]) -> None:
        self.begun = False
        self._out, self._free, self._clock, self._since = out, free, clock, clock()
        self._pieces = self._bytes = 0

    async def more(self, kind: str, pieces: list[bytes]) -> None:
        """Let go of *pieces* what did not go before, if the answer takes long."""
        if not self.begun:
            if self._clock() - self._since < HELD or not self._free.is_set():
                return
            self.begun = True
            await self._out.begin(OK, {"content-type": kind})
        for piece in pieces[self._pieces :]:
            await self._out.write(piece)
            self._bytes += len(piece)
        self._pieces = len(pieces)

    async def end(self, given: Given) -> None:
        """Let the rest go."""
        if not self.begun:
            self.begun = True
            await self._out.begin(given.status, {"content-type": given.kind} if given.kind else {})
        await self._out.write(given.body[self._bytes :])


def _untranslatable(asked: Foreign) -> str:
    """Why only a model that is asked in the same dialect can be asked this; "": any can."""
    try:
        FRONTS[asked.dialect].read(asked.body)
    except Untranslatable as why:
        return str(why)
    return ""
