"""The worker: one process that takes runs up, works on them side by side, and takes over those of dead workers."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import InterfaceError, OperationalError

from nightmill import event
from nightmill.errors import EngineError, NightmillError, StoreUnavailable
from nightmill.line.ahead import Ahead
from nightmill.line.assignment import read
from nightmill.line.control import Control
from nightmill.line.quota import Quota
from nightmill.line.task import TaskRun
from nightmill.line.whole import SpecRun

if TYPE_CHECKING:
    from nightmill.durable import Engine
    from nightmill.line.machines import Machines
    from nightmill.store.runs import Wish

__all__ = ["Worker"]

LOOK = 0.1
"""Seconds between looks for queued runs and for what people want."""

AWAY = 2.0
"""Seconds before the next look when the store is away."""

CALM = 1.0
"""Seconds without a run after which bases are built ahead."""

GIVEN_UP = 30.0
"""Seconds between looks for runs that the engine has given up."""

OPEN = ("queued", "running", "parked", "paused")

UNAVAILABLE = (StoreUnavailable, OperationalError, InterfaceError)

log = logging.getLogger(__name__)


class Worker:
    """Runs of one store, in this process. Give `workflows` to the engine, then the engine to `serve`."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.controls: dict[str, Control] = {}
        self._wishes: dict[str, Wish] = {}
        self._engine: Engine | None = None
        self._ready = asyncio.Event()
        self._started: set[str] = set()
        self._ahead = Ahead(machines)
        self._quota = Quota(machines)

    @property
    def workflows(self) -> dict[str, Any]:
        """What this worker can run, by the engine's names."""
        return {"spec": self._spec, "task": self._task}

    async def serve(self, engine: Engine, *, until_idle: float | None) -> None:
        """Work until cancelled, or until nothing was to be done for *until_idle* seconds."""
        self._engine = engine
        self._ready.set()
        try:
            await self._work(engine, until_idle)
        finally:
            await self._ahead.leave()
            await self._quota.leave()

    async def _work(self, engine: Engine, until_idle: float | None) -> None:
        idle_since, buried = self.machines.clock(), -math.inf
        while True:
            try:
                await self._start_queued(engine)
                await self._pass_wishes_on(engine)
                self._quota.look()
                if self.machines.clock() - buried > GIVEN_UP:
                    await self._end_given_up(engine)
                    buried = self.machines.clock()
                if self.machines.clock() - idle_since > CALM:
                    self._ahead.look()
            except UNAVAILABLE as error:
                log.warning("the store is away: %s", error)
                await asyncio.sleep(AWAY)
            if (
                self.controls or engine.interrupted or self._ahead.busy
            ):  # what is interrupted goes on here once the store is back
                idle_since = self.machines.clock()
            elif until_idle is not None and self.machines.clock() - idle_since > until_idle:
                return
            await asyncio.sleep(LOOK)

    async def _spec(self, run: str) -> dict[str, Any]:
        return await self._live(run, SpecRun)

    async def _task(self, run: str) -> dict[str, Any]:
        return await self._live(run, TaskRun)

    async def _live(self, run: str, kind: type[SpecRun | TaskRun]) -> dict[str, Any]:
        """Run or go on with *run*; whatever goes wrong, it ends with a reason that people see."""
        row = self.machines.runs.get(run)
        if row.state == "stopped":  # cancelled before it began, or its worker died between its end and the engine's
            return {"why": row.why, "reason": row.reason}
        told = event.RunStarted if row.state == "queued" else event.RunRecovered
        self.machines.ledger.emit(told(run=run, worker=self.machines.worker))
        control = self.controls[run] = Control()
        control.want(row.wanted, row.wanted_by)
        try:
            assignment = read(self.machines.blobs.get(row.assignment))
            live = kind(
                run=run,
                assignment=assignment,
                machines=self.machines,
                steps=await self._engine_ready(),
                control=control,
            )
            return await live.go()
        except UNAVAILABLE:
            raise  # no end of the run: the engine lets it go on once the store is back
        except Exception as error:
            log.exception("run %s failed", run)
            return await self._fail(run, error)
        finally:
            # A body that was slow to end must not make the one that took its place deaf.
            if self.controls.get(run) is control:
                del self.controls[run]
                self._wishes.pop(run, None)

    async def _fail(self, run: str, error: Exception) -> dict[str, Any]:
        reason = error.message if isinstance(error, NightmillError) else f"{type(error).__name__}: {error}"
        hint = "a fault of nightmill: its worker's log says where"
        # The engine ends the run next: an end that was only in memory then would never be told again.
        await self.machines.conclude(event.RunStopped(run=run, why="failed", reason=reason, hint=hint))
        return {"why": "failed", "reason": reason}

    async def _engine_ready(self) -> Engine:
        # The engine takes up what a dead worker left as soon as it is launched, which may be before `serve`.
        await self._ready.wait()
        if self._engine is None:
            raise EngineError("the worker has no engine yet")
        return self._engine

    async def _start_queued(self, engine: Engine) -> None:
        """Hand runs that wait to the engine; each only once, however many workers look."""
        for row in reversed(self.machines.runs.list(states=("queued",))):  # who asked first is first
            if row.parent or row.id in self.controls:
                continue
            if row.wanted == "cancel":  # also one that the engine has, behind others: nobody waits to be rid of it
                reason = f"cancelled by {row.wanted_by} before it began"
                self.machines.ledger.emit(event.RunStopped(run=row.id, why="cancelled", reason=reason))
            elif row.wanted == "run" and row.id not in self._started:
                await engine.start(row.id, row.kind, row.id)
                self._started.add(row.id)

    async def _end_given_up(self, engine: Engine) -> None:
        """Tell the end of runs that the engine takes up no more; no body of theirs is left to do so."""
        given_up = set(await engine.given_up())
        for row in self.machines.runs.list(states=OPEN) if given_up else ():
            if row.id in given_up:
                reason = "it was taken up again too often: its workers died, or its store was away, again and again"
                hint = f"the worker's log says why; its snapshots are in {self.machines.folder(row.id)}"
                self.machines.ledger.emit(event.RunStopped(run=row.id, why="failed", reason=reason, hint=hint))

    async def _pass_wishes_on(self, engine: Engine) -> None:
        """Tell live runs what people want of them: at once in this process, and as a message to those that wait."""
        for run, wish in self.machines.runs.wanted(list(self.controls)).items():
            if not wish.count or self._wishes.get(run) == wish or run not in self.controls:
                continue
            self.controls[run].want(wish.wanted, wish.by)
            # Also what was wanted before this worker had the run: the one before may have died without passing it on.
            body = {"wanted": wish.wanted, "by": wish.by, "count": wish.count}
            try:
                await engine.send(run, "control", body, key=f"wish-{wish.count}")
            except EngineError as error:
                log.warning("run %s is not told yet that %r is wanted: %s", run, wish.wanted, error.message)
            else:
                self._wishes[run] = wish
