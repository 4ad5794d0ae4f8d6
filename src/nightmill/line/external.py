"""The work of an external agent, as turns: what lies between two questions to its model is one checkpoint.

The agent is one process that lives on from turn to turn. The order is that of our own loop: its calls have ended → it asks
its model, and the answer is held back → snapshot complete → checkpoint that names it → the answer reaches it. So the
agent is at rest in every snapshot, its own memory of the conversation included, and a run goes on from any of them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nightmill import event
from nightmill.agent import AgentState, Ending, Told, TurnRecord, hear
from nightmill.agent.external import AgentLost, Hearing, Process, Refused
from nightmill.errors import LimitReached, ModelRefused, ModelUnavailable, NightmillError, SandboxError
from nightmill.line import brief as briefs
from nightmill.line import errand
from nightmill.line.answering import Answering
from nightmill.line.asking import bounds, call_of
from nightmill.line.control import Cancelled
from nightmill.line.meter import Meter
from nightmill.line.record import write_record
from nightmill.line.words import unheard
from nightmill.model.connect import check
from nightmill.model.gateway import ModelGateway

if TYPE_CHECKING:
    from pathlib import Path

    from nightmill.agent import Brief, Word
    from nightmill.agent.external import External, Heard
    from nightmill.line.assignment import Assignment
    from nightmill.line.control import Control
    from nightmill.line.entrance import Entrance
    from nightmill.line.machines import Machines
    from nightmill.line.workplace import Workplace

__all__ = ["ExternalWork"]

TRIES = 3
"""How often an agent is started for one turn."""
LONGEST_TURN = 60.0
"""Seconds after which a turn ends though the agent has not asked its model again."""
POLL = 1.0
"""Seconds between looks at the clocks."""
CUTS = 3
"""Endings in a row for want of tokens or turns after which the agent is stuck."""
REMEMBERED = 4
"""Turns whose words an agent is told that remembers none itself."""
SETTLING = 0.3
"""Seconds after its question for which a snapshot waits: agents write their sessions down a tenth of a second behind."""
REFUSED = range(400, 500)


@dataclass(slots=True, kw_only=True)
class ExternalWork:
    """An external agent at work on one task, live in this process. *state* is set by the run before each turn."""

    run: str
    machines: Machines
    assignment: Assignment
    agent: External
    brief: Brief
    workplace: Workplace
    control: Control
    entrance: Entrance
    folder: Path
    state: AgentState = AgentState()
    listens: bool = True
    _live: Process | None = None
    _meter: Meter | None = None
    _hearing: Hearing | None = None
    _cuts: int = 0
    _began: float = 0.0
    _asked: float = 0.0
    _rests: float | None = None
    """When the agent asked its model after calls of it had ended; None: it has not."""
    _words: tuple[Word, ...] = ()
    """What people said, given to the agent in this turn."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _free: asyncio.Event = field(default_factory=asyncio.Event)

    async def turn(self, snapshot: str) -> dict[str, Any]:
        """Let the agent work until its next turn ends, from *snapshot*; gives what `Work.turn` gives."""
        if self.control.wanted != "run":
            await self.forget()
            return {"wanted": self.control.wanted, "by": self.control.by}
        try:
            return await self.control.unless_cancelled(self._turn(snapshot))
        except Cancelled:
            await self.forget()
            return {"wanted": "cancel", "by": self.control.by}
        except NightmillError as error:
            await self.forget()
            return {"error": error.to_plain()}

    def after(self, record: TurnRecord) -> AgentState:
        """The state after *record*. The agent has its own memory: of the conversation only the latest words stay."""
        state, reply = hear(self.brief, self.state, record.heard), record.reply
        return replace(
            state,
            messages=(*state.messages, *record.messages[:1])[-REMEMBERED:],
            todo=state.todo if record.todo is None else record.todo,
            turn=record.turn,
            usage=state.usage + reply.usage,
            cost=state.cost + (reply.cost or 0.0),
            priced=state.priced and reply.cost is not None,
            seconds=state.seconds + sum((record.seconds or {}).values()),
            ending=record.ending,
        )

    def moved(self, before: AgentState) -> tuple[event.Event, ...]:
        """Nothing: where its work is going is its own affair."""
        return ()

    async def forget(self) -> None:
        """End the agent. What it did since the last checkpoint did not happen."""
        live, self._live = self._live, None
        if live is not None:
            await live.end()
        self.control.writing.clear()

    # One turn

    async def _turn(self, snapshot: str) -> dict[str, Any]:
        meter, hearing = self._account(), self._ears()
        self._obey(meter)
        meter.turn = hearing.turn = self.state.turn + 1
        self._free.set()
        self._began = self.machines.clock()
        self._words = ()
        self.control.writing.begin(role=self.brief.role, turn=meter.turn)
        self.machines.ledger.emit(
            event.TurnStarted(
                run=self.run, turn=meter.turn, role=self.brief.role, model=self.assignment.worker, request=""
            )
        )
        lost: NightmillError = AgentLost("it was never started")
        for attempt in range(TRIES):
            try:
                live = await self._at_work(snapshot)
                self._rests = None
                self._free.set()
                await self._wait(live)
                if not hearing.heard:
                    self._obey(meter)
                return await self._checkpoint(live)
            except AgentLost as error:
                lost = AgentLost(await self._last_words(error))
            except SandboxError as error:
                lost = error
                if attempt:
                    raise
                await self.workplace.leave()
            await self._begin_again(lost)
        return self._record(
            hearing.cut(), snapshot, Ending(kind="stuck", text=f"{TRIES} times in a row: {lost.message}")
        )

    def _obey(self, meter: Meter) -> None:
        """Raise what keeps a question from being answered; when the run goes on it may be another story."""
        stop, meter.stop = meter.stop, None
        if stop is not None:
            raise stop

    async def _wait(self, live: Process) -> None:
        """Wait until the turn is over.

        Raises:
            AgentLost: If the agent is gone, or nothing is heard of it any more.
        """
        hearing, meter, clock = self._ears(), self._account(), self.machines.clock
        hearing.moved = clock()
        if live.prompt is None:
            raise AssertionError("an agent at work was asked for something")
        while not live.prompt.done() and self._rests is None and meter.stop is None:
            if live.session.wire.lost.done():
                raise live.session.wire.lost.result()
            if clock() - self._began > LONGEST_TURN and not meter.open:
                return
            self._look_at_clocks(hearing, meter)
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wake.wait()

    def _look_at_clocks(self, hearing: Hearing, meter: Meter) -> None:
        now, most = self.machines.clock(), self.assignment.budget.seconds
        hearing.moved = now if meter.open else hearing.moved
        if now - hearing.moved > self.machines.settings.agent_idle:
            raise AgentLost(f"nothing was heard of it for {now - hearing.moved:.0f} s")
        if self._seconds() > most:
            text = f"the budget of {most:,.0f} seconds of work is used up"
            meter.halt(LimitReached(text, hint="raise `budget_seconds`", limit="seconds"))

    async def _checkpoint(self, live: Process) -> dict[str, Any]:
        """What the turn gave, and the workspace as it is now."""
        hearing, meter = self._ears(), self._account()
        if isinstance(meter.stop, LimitReached):
            await live.cancel()
        ending: Ending | None = None
        over = live.prompt is not None and live.prompt.done()
        if over:
            ending = await self._unless_told(self._ended(live))
            live.prompt = None
            hearing.give_up()
        if self._rests is not None:
            await asyncio.sleep(SETTLING - (self.machines.clock() - self._rests))
        calls = meter.mark()
        kept = await self.workplace.keep()
        if not over:  # else it is at rest, and what looks at the workspace next need not end it
            self.workplace.touched()
        return self._record(hearing.cut(), kept, ending, session=live.session.id, over=over, calls=calls)

    def _ended(self, live: Process) -> Ending | None:
        """What the end of the agent's own turn means; None: it has to go on, or the meter says what keeps it from that.

        Raises:
            AgentLost: If it means nothing.
        """
        hearing, meter = self._ears(), self._account()
        if live.prompt is None:
            raise AssertionError("only what was asked for ends")
        if meter.stop is not None:
            return None
        try:
            reason, wrong = live.prompt.result(), ""
        except Refused as error:
            reason, wrong = "", error.message
        if meter.failed is not None and (wrong or not hearing.said.strip()):
            call = meter.failed
            kind = ModelRefused if call.status in REFUSED else ModelUnavailable
            meter.halt(kind(f"{self.assignment.worker}: {call.reason or 'the reply was not received whole'}"))
            return None
        if reason == "end_turn":
            self._cuts = 0
            proof = errand.evidence(hearing.said, briefs.criteria(self.assignment))
            return Ending(kind="finished", text=errand.summary(hearing.said), evidence=tuple(proof))
        if reason == "refusal":
            return Ending(kind="refused", text=errand.summary(hearing.said))
        if reason not in {"max_tokens", "max_turn_requests"}:
            raise AgentLost(wrong or f"it ended its turn with {reason!r}")
        self._cuts += 1
        return Ending(kind="stuck", text=f"cut off {CUTS} times in a row: {reason}") if self._cuts >= CUTS else None

    def _record(self, heard: Heard, snapshot: str, ending: Ending | None, **mark: Any) -> dict[str, Any]:
        meter, seconds = self._account(), self.machines.clock() - self._began
        asked = min(seconds, max(0.0, meter.had.seconds - self._asked))
        self._asked = meter.had.seconds
        record = TurnRecord(
            turn=meter.turn,
            reply=errand.reply(heard, self.state, meter.had, model=self.assignment.model, seconds=asked, mark=mark),
            messages=errand.messages(heard, mark),
            todo=heard.todo,
            ending=ending,
            changed=True,
            edited=heard.edited,
            heard=self._words,
            seconds={"model": asked, "tools": seconds - asked},
        )
        return {"record": self.machines.blobs.put(write_record(record)), "snapshot": snapshot}

    # The agent

    async def _at_work(self, snapshot: str) -> Process:
        """The agent, busy with what it has to do next; started from *snapshot* if it does not run."""
        live = self._live
        if live is None or live.session.wire.lost.done():
            await self.forget()
            self.control.writing.begin(role=self.brief.role, turn=self.state.turn + 1)
            workspace = await self.workplace.stand_at(snapshot)
            self.workplace.touched()
            live = self._live = Process(workspace, self._ears())
            mark = errand.mark(self.state)
            self._account().go_back(mark.get("calls", []))
            self.entrance.model = self._gateway()
            await live.start(self.agent, earlier=mark.get("session", ""))
            await self._ask(live, remembers=live.session.loaded, anew=True)
        elif live.prompt is None:
            self.workplace.touched()
            await self._ask(live, remembers=True)
        return live

    async def _ask(self, live: Process, *, remembers: bool, anew: bool = False) -> None:
        self._words = await self._unheard(self.state)
        text = errand.words(hear(self.brief, self.state, self._words), self.brief.anchor, remembers=remembers)
        if self._words and anew and remembers:
            text = f"{errand.go_on()}\n\n{text}"
        for ends in (live.ask(text), live.session.wire.lost):
            ends.add_done_callback(lambda _: self._wake.set())

    async def _unheard(self, state: AgentState, *, look: bool = False) -> tuple[Word, ...]:
        if not self.listens:
            return ()
        return await unheard(self.machines, self.control, run=self.run, after=state.heard, look=look)

    async def _unless_told(self, ending: Ending | None) -> Ending | None:
        """*ending*, unless the agent says that it is done and a person has said something meanwhile: it hears that next."""
        told = hear(self.brief, self.state, self._words)
        finished = ending is not None and ending.kind == "finished"
        return None if finished and await self._unheard(told, look=True) else ending

    async def _begin_again(self, why: NightmillError) -> None:
        """Tell that the agent is lost, and leave it: the next is started from the last snapshot."""
        turn = self._ears().turn
        self.machines.ledger.emit(
            event.AgentNudged(run=self.run, turn=turn, guard="agent_lost", message=f"started again: {why.message}")
        )
        await self.forget()
        self._ears().give_up()
        self._ears().cut()

    async def _last_words(self, error: AgentLost) -> str:
        said = await self._live.last_words() if self._live is not None else ""
        return f"{error.message}; it said last: {said}" if said else error.message

    def _ears(self) -> Hearing:
        if self._hearing is None:
            clock = self.machines.clock
            told = Told(run=self.run, emit=self.machines.ledger.emit, clock=clock)
            hide = self.machines.blobs.hidden.text
            self._hearing = Hearing(told, hide=hide, aloud=self.control.writing.hear)
        return self._hearing

    # The account

    def _account(self) -> Meter:
        if self._meter is None:
            self._meter = Meter(
                run=self.run,
                file=self.folder / "calls.jsonl",
                budget=self.assignment.budget,
                max_tokens=self.assignment.max_tokens,
                emit=self.machines.ledger.emit,
                seconds=self._seconds,
                began=self._asks,
                free=self._free,
                purse=self.machines.purse,
                bounds=bounds(self.assignment, self.machines.settings),
                account=partial(call_of, self.assignment, run=self.run, worker=self.machines.worker),
                keep=self.machines.blobs.put,
            )
            self._meter.load()
            self._asked = self._meter.had.seconds
        return self._meter

    def _gateway(self) -> ModelGateway:
        """Where its questions come in.

        Raises:
            SettingsError: If its model cannot be asked.
        """
        assignment = self.assignment
        check(assignment.model, base_url=assignment.base_url, keys=self.machines.keys)
        desk = Answering(
            run=self.run,
            machines=self.machines,
            assignment=assignment,
            meter=self._account(),
        )
        return ModelGateway(assignment.model.partition(":")[2], desk=desk, go_on=errand.go_on())

    def _asks(self) -> None:
        """The agent asks its model: if any call of it has ended, the turn is over, and the answer waits for the next."""
        if self._ears().ended:
            self._rests = self.machines.clock()
            self._free.clear()
        self._wake.set()

    def _seconds(self) -> float:
        return self.state.seconds + self.machines.clock() - self._began
