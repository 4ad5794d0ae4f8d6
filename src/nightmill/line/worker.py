"""The worker: one process that takes runs up, works on them side by side, and takes over those of dead workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING, Any

from nightmill import event
from nightmill.errors import EngineError
from nightmill.line.ahead import Ahead
from nightmill.line.assignment import read
from nightmill.line.control import Control
from nightmill.line.quota import Quota
from nightmill.line.scribe import Scribe
from nightmill.line.stop import Stopped
from nightmill.line.task import TaskRun
from nightmill.line.whole import SpecRun
from nightmill.store import AWAY

if TYPE_CHECKING:
    from nightmill.durable import Engine
    from nightmill.line.machines import Machines

__all__ = ["Worker"]

LOOK = 0.1
"""Seconds between looks for queued runs and for what people want."""

PATIENCE = 2.0
"""Seconds before the next look when the store is away."""

RARE = 1.0
"""Seconds between looks for what people want of runs that wait and are in no worker, and though nothing was written."""

CALM = 1.0
"""Seconds without a run after which bases are built ahead."""

STRANDED = 30.0
"""Seconds between looks for runs that nobody goes on with."""

OPEN = ("queued", "running", "parked", "paused")

log = logging.getLogger(__name__)


class Worker:
    """Runs of one store, in this process. Give `workflows` to the engine, then the engine to `serve`."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.controls: dict[str, Control] = {}
        self._wishes: dict[str, int] = {}
        self._waiting = False
        self._seen: int | None = None
        self._engine: Engine | None = None
        self._ready = asyncio.Event()
        self._woken = asyncio.Event()
        self._leaving = False
        self._started: set[str] = set()
        self._logged: set[str] = set()
        self._ahead = Ahead(machines)
        self._quota = Quota(machines)
        self._scribe = Scribe(machines)

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
            await self._scribe.leave()

    def wake(self) -> None:
        """Say that something was asked for: it is looked for now."""
        self._woken.set()

    def leave(self) -> bool:
        """Have `serve` end if all that is here waits, which goes on with the next worker; whether it does."""
        self._leaving = all(self.machines.runs.get(run).state in {"parked", "paused"} for run in self.controls)
        self.wake()
        return self._leaving

    async def _work(self, engine: Engine, until_idle: float | None) -> None:
        idle_since, buried, looked = self.machines.clock(), -math.inf, -math.inf
        while True:
            try:
                rare = self.machines.clock() - looked > RARE
                looked = self.machines.clock() if rare else looked
                await self._look(engine, rare=rare)
                self._quota.look()
                self._scribe.look(self.controls)
                if self.machines.clock() - buried > STRANDED:
                    await self._tell_stranded(engine)
                    buried = self.machines.clock()
                if self.machines.clock() - idle_since > CALM:
                    self._ahead.look()
            except AWAY as error:
                log.warning("the store is away: %s", error)
                await asyncio.sleep(PATIENCE)
            if self._leaving:
                return
            if (
                self.controls or self._waiting or engine.interrupted or self._ahead.busy
            ):  # what is interrupted goes on here once the store is back, and what waits once it is told to
                idle_since = self.machines.clock()
            elif until_idle is not None and self.machines.clock() - idle_since > until_idle:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK)
            self._woken.clear()

    async def _look(self, engine: Engine, *, rare: bool) -> None:
        """Do what was asked for since the last look; nothing, if nothing was written since."""
        version = self.machines.database.version()
        if rare or version is None or version != self._seen:
            await self._start_queued(engine)
            await self._pass_wishes_on(engine, waiting=rare)
            self._seen = version

    async def _spec(self, run: str) -> dict[str, Any]:
        return await self._live(run, SpecRun)

    async def _task(self, run: str) -> dict[str, Any]:
        return await self._live(run, TaskRun)

    async def _live(self, run: str, kind: type[SpecRun | TaskRun]) -> dict[str, Any]:
        """Run or go on with *run*; whatever goes wrong, it ends with a reason that people see."""
        row = self.machines.runs.get(run)
        if row.state == "stopped":  # cancelled before it began, or its worker died between its end and the engine's
            return {"why": row.why, "reason": row.reason}
        engine = await self._engine_ready()
        if row.state == "queued":
            self.machines.ledger.emit(event.RunStarted(run=run, worker=self.machines.worker))
        elif await engine.taken_up_again(run):  # not one that comes back from waiting
            self.machines.ledger.emit(event.RunRecovered(run=run, worker=self.machines.worker))
        control = self.controls[run] = Control()
        control.want(row.wanted, row.wanted_by)
        control.said(row.words)
        try:
            assignment = read(self.machines.blobs.get(row.assignment))
            live = kind(
                run=run,
                assignment=assignment,
                machines=self.machines,
                steps=engine,
                control=control,
            )
            return await live.go()
        except AWAY:
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
        stop = Stopped.of(error)
        # The engine ends the run next: an end that was only in memory then would never be told again.
        await self.machines.conclude(event.RunStopped(run=run, why=stop.why, reason=stop.reason, hint=stop.hint))
        return {"why": stop.why, "reason": stop.reason}

    async def _engine_ready(self) -> Engine:
        # The engine takes up what a dead worker left as soon as it is launched, which may be before `serve`.
        await self._ready.wait()
        if self._engine is None:
            raise EngineError("the worker has no engine yet")
        return self._engine

    async def _start_queued(self, engine: Engine) -> None:
        """Hand runs that wait to the engine; each only once, however many workers look."""
        for row in self.machines.runs.queued():  # who asked first is first
            if row.parent or row.id in self.controls:
                continue
            if row.wanted == "cancel":  # also one that the engine has, behind others: nobody waits to be rid of it
                reason = f"cancelled by {row.wanted_by} before it began"
                self.machines.ledger.emit(event.RunStopped(run=row.id, why="cancelled", reason=reason))
            elif row.wanted == "run" and row.id not in self._started:
                await engine.start(row.id, row.kind, row.id)
                self._started.add(row.id)

    async def _tell_stranded(self, engine: Engine) -> None:
        """Tell the end of runs that the engine takes up no more, as no body of theirs does; log those that wait for another."""
        stranded = {each.run: each for each in await engine.stranded()}
        for row in self.machines.runs.list(states=OPEN) if stranded else ():
            found = stranded.get(row.id)
            if found is not None and found.over:
                hint = f"the worker's log says why; its snapshots are in {self.machines.folder(row.id)}"
                self.machines.ledger.emit(event.RunStopped(run=row.id, why="failed", reason=found.reason, hint=hint))
            elif found is not None and row.id not in self._logged:
                self._logged.add(row.id)
                log.warning("run %s waits for a worker that can go on with it: %s", row.id, found.reason)

    async def _pass_wishes_on(self, engine: Engine, *, waiting: bool) -> None:
        """Tell live runs what people want of them: at once in this process, and as a message to those that wait.

        Those that wait for long are in no process: whichever worker sees the wish sends it.
        """
        wishes = self.machines.runs.wanted(list(self.controls), waiting=waiting)
        if waiting:
            self._waiting = len(wishes) > len(self.controls)
        for run, wish in wishes.items():
            if run in self.controls:
                self.controls[run].said(wish.words)
                self.controls[run].watched = wish.watched
            if not wish.count or self._wishes.get(run) == wish.count:
                continue
            if run in self.controls:
                self.controls[run].want(wish.wanted, wish.by)
            # Also what was wanted before this worker had the run: the one before may have died without passing it on.
            body = {"wanted": wish.wanted, "by": wish.by, "count": wish.count}
            try:
                await engine.send(run, "control", body, key=f"wish-{wish.count}")
            except EngineError as error:
                log.warning("run %s is not told yet that %r is wanted: %s", run, wish.wanted, error.message)
            else:
                self._wishes[run] = wish.count
