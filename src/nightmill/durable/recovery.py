"""Heartbeats, and the adoption of runs whose worker died."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from nightmill.durable.engine import Engine
from nightmill.errors import EngineError
from nightmill.store import Worker, Workers, process

__all__ = ["Recovery"]


class Recovery:
    """Keeps this worker's heartbeat, and gives the runs of dead workers back to their queues.

    So it does with its own that were interrupted because the store was away, once it can be written and *ready* says so.

    Workers of this machine are known to be dead as soon as their process is gone, others after *stale_seconds* without
    a beat. A worker that was taken for dead and lives (a machine that slept, a network that was cut) learns it at its
    next beat and drops what it was working on: the engine refuses its checkpoints by then; *dropped* tells its owner.
    """

    def __init__(
        self,
        engine: Engine,
        workers: Workers,
        *,
        beat_seconds: float = 2.0,
        stale_seconds: float = 20.0,
        host: str = "",
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self.engine = engine
        self.workers = workers
        self.beat_seconds = beat_seconds
        self.stale_seconds = stale_seconds
        self.host = host or process.host()
        self.log: logging.Logger = engine.log
        self.ready = ready
        self.dropped: Callable[[], Awaitable[None]] | None = None
        self._keeping: list[asyncio.Task[None]] = []

    async def join(self, *, version: str) -> Self:
        """Enter this process as a worker, adopt what dead ones left, and keep doing so until `leave`.

        Raises:
            EngineError: If the store cannot be written.
        """
        pid = os.getpid()
        await self.engine.off_loop(self._register, pid, version)
        await self.sweep()
        # Apart: a sweep that waits for a lock must not silence the heart.
        self._keeping = [asyncio.create_task(self._keep(work)) for work in (self.beat, self.sweep)]
        return self

    async def leave(self) -> None:
        """Stop beating and let others have what is left, at once. Close the engine first."""
        for task in self._keeping:
            task.cancel()
        if self._keeping:
            await asyncio.wait(self._keeping)
        await asyncio.to_thread(self.workers.leave, self.engine.id)

    async def beat(self) -> None:
        """Say that this worker lives; drop and return everything if others took it for dead."""
        if await self.engine.off_loop(self.workers.beat, self.engine.id):
            if not self.engine.interrupted or not self.ready():
                return
            self.log.warning(
                "the store is back; interrupted runs go on: %s", ", ".join(sorted(self.engine.interrupted))
            )
        else:
            self.log.warning("worker %s was taken for dead; it drops its runs and goes on", self.engine.id)
        await self.engine.drop()
        if self.dropped is not None:
            await self.dropped()
        adopted = await self.engine.adopt([self.engine.id])
        # What could not be given back, because the store went away again, is tried at a later beat.
        self.engine.interrupted = set(await self.engine.holds(self.engine.id)) - set(adopted)

    async def sweep(self) -> list[str]:
        """Adopt the runs of all dead workers; return them."""
        adopted: list[str] = []
        for worker in await self.engine.off_loop(self._dead):
            adopted += await self._bury(worker)
        return adopted

    async def _bury(self, worker: Worker) -> list[str]:
        # Given up first: if it lives, its next beat tells it so. Struck off last: if we die in between, others go on.
        if not await self.engine.off_loop(self.workers.give_up, worker):
            return []
        runs = await self.engine.adopt([worker.id])
        if runs:
            self.log.warning("worker %s is dead; adopted its runs: %s", worker.id, ", ".join(runs))
        if not await self.engine.holds(worker.id):
            await self.engine.off_loop(self.workers.end, worker.id)
        return runs

    async def _keep(self, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(self.beat_seconds)
            try:
                await work()
            except (SQLAlchemyError, EngineError) as failure:
                # A database that is away comes back; until then this worker is silent, and may be taken for dead.
                self.log.warning("neither heartbeat nor sweep: %s", failure)
            except Exception:
                # Its runs go on whatever it is: with the heart stopped for good, another would take them meanwhile.
                self.log.exception("neither heartbeat nor sweep")

    def _dead(self) -> list[Worker]:
        found = self.workers.dead(host=self.host, is_process_alive=process.is_alive, stale_seconds=self.stale_seconds)
        return [worker for worker in found if worker.id != self.engine.id]

    def _register(self, pid: int, version: str) -> None:
        try:
            self.workers.register(
                id=self.engine.id, host=self.host, pid=pid, started=process.started(pid), version=version
            )
        except SQLAlchemyError as failure:
            raise EngineError(
                f"this worker cannot be entered in the store: {failure}", hint="see `nightmill doctor`"
            ) from failure
