"""Which worker processes are alive, by heartbeats and, on one machine, by the process table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nightmill.store import tables
from nightmill.store.database import Database

__all__ = ["Worker", "Workers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process.

    Attributes:
        host: Machine, boot and process namespace: where *pid* means something.
        started: When the process started, as the kernel says it: tells it from a later one with its number.
        beat: Its last sign of life by the database's clock, Unix seconds; 0: it said good-bye.
        ended: Nothing of it is left for others to take over.
    """

    id: str
    host: str
    pid: int
    started: str
    version: str
    beat: float
    ended: bool


class Workers:
    """The workers of the store. Times are the database's own, so machines need not agree on theirs."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._now = database.now

    def register(self, *, id: str, host: str, pid: int, started: str, version: str) -> None:
        """Enter a worker that just started; its id is new."""
        row = {"id": id, "host": host, "pid": pid, "started": started, "version": version, "ended": False}
        with self.database.write() as connection:
            connection.execute(sa.insert(tables.worker).values(**row, beat=self._now))

    def beat(self, id: str) -> bool:
        """Note that the worker *id* lives. False: others gave it up and have its runs now; it counts as alive again."""
        worker = tables.worker
        with self.database.write() as connection:
            lost = sa.or_(worker.c.beat == 0, worker.c.ended)
            was_lost = connection.execute(sa.select(lost).where(worker.c.id == id)).scalar_one_or_none()
            connection.execute(worker.update().where(worker.c.id == id).values(beat=self._now, ended=False))
        return was_lost is not None and not was_lost

    def leave(self, id: str) -> None:
        """The worker *id* stops: whatever it still has may be taken over at once."""
        with self.database.write() as connection:
            connection.execute(tables.worker.update().where(tables.worker.c.id == id).values(beat=0.0))

    def give_up(self, found: Worker) -> bool:
        """Say that *found* is dead, before its runs are taken. False: it gave a sign of life meanwhile.

        Whoever gives it up may die before `end`: then it is still listed by `dead`, and another goes on.
        """
        worker = tables.worker
        same = (worker.c.id == found.id, worker.c.beat == found.beat, worker.c.ended.is_(False))
        with self.database.write() as connection:
            return connection.execute(worker.update().where(*same).values(beat=0.0)).rowcount == 1

    def end(self, id: str) -> None:
        """Strike off the worker *id*, which was given up and all of whose runs were taken over."""
        worker = tables.worker
        with self.database.write() as connection:
            connection.execute(worker.update().where(worker.c.id == id, worker.c.beat == 0).values(ended=True))

    def alive(self, *, stale_seconds: float) -> list[Worker]:
        """Workers whose last beat is younger than *stale_seconds*."""
        return self._all(tables.worker.c.beat > self._now - stale_seconds)

    def dead(self, *, host: str, is_process_alive: Callable[[int, str], bool], stale_seconds: float) -> list[Worker]:
        """Workers that will not go on, whose runs others may take.

        Those of *host* are judged by the process table, at once: a stopped process there is alive, however long it is
        silent. Those of other hosts are judged by missed beats.
        """
        here = self._all(tables.worker.c.host == host)
        gone = [each for each in here if each.beat == 0 or not is_process_alive(each.pid, each.started)]
        return gone + self._all(
            sa.and_(tables.worker.c.host != host, tables.worker.c.beat <= self._now - stale_seconds)
        )

    def _all(self, which: Any) -> list[Worker]:
        query = sa.select(tables.worker).where(tables.worker.c.ended.is_(False), which).order_by(tables.worker.c.id)
        with self.database.read() as connection:
            return [Worker(**row) for row in connection.execute(query).mappings()]
