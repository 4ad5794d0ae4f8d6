"""Our own thread on the engine's queue: it starts a run within milliseconds and idles at next to nothing.

The engine polls its queues with a costly transaction each time, so either an idle worker burns percents of a core or a
run waits. Here the thread looks at the database with one cheap read, ten times a second, and polls when something
waits. As a further gain the limit on runs at once is each worker's own: in the engine's table of queues the last worker
to start sets it for all.

Uses three private names of dbos 3.4 (`queue_worker_thread`, `Queue` and the token for making one); tests/durable fails
loudly if an upgrade moves them.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import Any

import psycopg
from dbos import DBOS
from dbos._queue import _INTERNAL_QUEUE_CONSTRUCTION, Queue, queue_worker_thread

__all__ = ["QueueThread"]

LOOK = 0.1
"""Seconds between two looks for waiting runs."""

POLL = 5.0
"""Seconds between two polls when no look finds anything; for the case that looking itself fails."""

WAITING = "SELECT 1 FROM {table} WHERE queue_name = {mark} AND status = 'ENQUEUED' LIMIT 1"


class QueueThread:
    """Starts the runs of the queue *name*, at most *concurrency* of them at once in this process."""

    def __init__(self, dbos: DBOS, name: str, *, url: str, concurrency: int) -> None:
        self.name = name
        looks = SqliteLook(url, name) if url.startswith("sqlite:///") else PostgresLook(url, name)
        self.bell = Bell(looks)
        limits: dict[str, Any] = {"worker_concurrency": concurrency, "polling_interval_sec": POLL}
        queue = Queue(name, token=_INTERNAL_QUEUE_CONSTRUCTION, **limits)
        self._thread = threading.Thread(target=self._work, args=(dbos, queue), name=f"queue {name}", daemon=True)
        self._thread.start()

    def stop(self, *, seconds: float) -> None:
        """Start no further run; wait at most *seconds* for the thread."""
        self.bell.set()
        self._thread.join(timeout=seconds)

    def _work(self, dbos: DBOS, queue: Queue) -> None:
        try:
            queue_worker_thread(self.bell, dbos, queue)
        finally:
            self.bell.looks.close()


class Bell(threading.Event):
    """The stop event of the engine's queue thread, whose `wait` also ends when a run is waiting."""

    def __init__(self, looks: SqliteLook | PostgresLook) -> None:
        super().__init__()
        self.looks = looks
        self._rung = threading.Event()

    def ring(self) -> None:
        """Something was put in the queue by this process."""
        self._rung.set()

    def set(self) -> None:
        """Stop."""
        super().set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a stop, a ring, a waiting run or *timeout* seconds; return whether it is a stop."""
        end = time.monotonic() + (POLL if timeout is None else timeout)
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            if self.looks() or self._rung.wait(min(left, LOOK)):
                self._rung.clear()
                break
        return self.is_set()


class SqliteLook:
    """Whether runs wait, asked only when another connection has written since the last look."""

    def __init__(self, url: str, queue: str) -> None:
        self._path = url.removeprefix("sqlite:///")
        self._queue = queue
        self._connection: sqlite3.Connection | None = None
        self._version = -1

    def __call__(self) -> bool:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=1)
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return False
            self._version = version
            query = WAITING.format(table="workflow_status", mark="?")
            return self._connection.execute(query, (self._queue,)).fetchone() is not None
        except sqlite3.Error:
            return False  # the poll goes on, and says what is wrong

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


class PostgresLook:
    """Whether runs wait, asked every other look: it is a round trip."""

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue
        self._connection: psycopg.Connection[Any] | None = None
        self._skip = False

    def __call__(self) -> bool:
        self._skip = not self._skip
        if self._skip:
            return False
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
            query = WAITING.format(table="dbos.workflow_status", mark="%s")
            return self._connection.execute(query, (self._queue,)).fetchone() is not None
        except psycopg.Error:
            self.close()  # a new connection at the next look; the poll goes on, and says what is wrong
            self._connection = None
            return False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
