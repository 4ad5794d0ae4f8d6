"""The ledger: what happened, told once, in one order, never changed."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

import sqlalchemy as sa

from nightmill.errors import EngineError, StoreUnavailable
from nightmill.event import Event
from nightmill.kept import Entry
from nightmill.store import chain
from nightmill.store.chain import Broken, Fact
from nightmill.store.database import Database
from nightmill.store.tables import event as table

__all__ = ["Entry", "Ledger"]

BATCH = 500
"""Events per transaction at most, so that other writers are not kept waiting."""

GATHER = 0.1
"""Seconds in which what is told after an event shares its transaction; a flush does not wait for them."""

WAIT = 30.0
"""Longest `flush`, in seconds: a database that hangs must not hang its callers for ever."""

NEWEST = sa.select(sa.func.max(table.c.seq))


class Ledger:
    """Append-only and hash-chained over all runs and all processes.

    `emit` puts the event in memory and returns; one thread writes what has gathered in one transaction. So events of
    the last moments die with the process: what must not be lost is flushed before the next checkpoint, and a recovered
    run tells it again.
    """

    def __init__(self, database: Database, clock: Callable[[], float], *, bound: int = 50_000) -> None:
        self.database = database
        self.clock = clock
        self.bound = bound
        self._waiting: deque[Fact] = deque()
        self._turn = threading.Condition()
        self._told = 0
        self._kept = 0
        self._failures = 0
        self._flushing = 0
        self._lost: list[str] = []
        self._failure = ""
        self._closing = False
        self._writer: threading.Thread | None = None

    def emit(self, event: Event) -> None:
        """Tell *event*; never blocks and never raises. What goes wrong surfaces in `flush`."""
        try:
            fact = chain.fact(event, at=self.clock())
        except (TypeError, ValueError) as error:
            with self._turn:
                self._lost.append(f"{event.name} is not plain data: {error}")
            return
        with self._turn:
            if self._closing or len(self._waiting) >= self.bound:
                self._lost.append(
                    f"{event.name} came {'after the end' if self._closing else 'when the memory for events was full'}"
                )
                return
            self._waiting.append(fact)
            self._told += 1
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="ledger", daemon=True)
                self._writer.start()
            if len(self._waiting) == 1:  # the writer is awake otherwise, and each word to it is a turn less for us
                self._turn.notify_all()

    def append(self, told: Sequence[Event]) -> int:
        """Store *told* now, in one transaction; return how many were new.

        Raises:
            EngineError: If they cannot be stored.
        """
        facts = [chain.fact(event, at=self.clock()) for event in told]
        try:
            with self.database.write() as connection:
                return chain.append(connection, facts)
        except sa.exc.SQLAlchemyError as error:
            raise _unwritten(_text(error)) from error

    async def flush(self) -> None:
        """Wait until everything told so far is stored.

        Raises:
            EngineError: If it cannot be. It stays in memory and is tried again, unless the message says "lost".
        """
        # A thread of its own: the loop's default executor belongs to the engine.
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def wait() -> None:
            failed: EngineError | None = None
            try:
                self.flush_sync()
            except EngineError as error:
                failed = error
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(_finish, done, failed)

        with self._turn:
            if self._kept == self._told and not self._lost:
                return
        threading.Thread(target=wait, name="ledger flush", daemon=True).start()
        await done

    def flush_sync(self) -> None:
        """As `flush`, for callers without a loop."""
        with self._turn:
            goal, failures = self._told, self._failures
            self._flushing += 1
            self._turn.notify_all()
            # The attempt that runs now may be older than this call: only the one after it counts.
            self._turn.wait_for(lambda: self._kept >= goal or self._failures > failures + 1, timeout=WAIT)
            self._flushing -= 1
            lost, self._lost = self._lost, []
            if lost:
                raise EngineError(f"{len(lost)} events were lost; the first: {lost[0]}")
            if self._kept < goal:
                raise _unwritten(self._failure or f"the database has not answered for {WAIT:g} s")

    def close(self) -> None:
        """Store what is left and end the writer.

        Raises:
            EngineError: If it cannot be stored.
        """
        try:
            self.flush_sync()
        finally:
            with self._turn:
                self._closing = True
                self._turn.notify_all()
            if self._writer is not None:
                self._writer.join(timeout=WAIT)

    def read(
        self, *, after: int = 0, run: str | None = None, names: Collection[str] | None = None, limit: int | None = None
    ) -> list[Entry]:
        """Entries with a number above *after*, oldest first."""
        columns = (table.c.seq, table.c.at, table.c.run, table.c.name, table.c.key, table.c.body, table.c.hash)
        query = sa.select(*columns).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
        if run is not None:
            query = query.where(table.c.run == run)
        if names is not None:
            query = query.where(table.c.name.in_(names))
        with self.database.read() as connection:
            return [Entry(**row) for row in connection.execute(query).mappings()]

    def find(self, told: Event) -> Entry | None:
        """The entry of its run that has the key of *told*, whatever else it says; None: it was not told yet."""
        columns = (table.c.seq, table.c.at, table.c.run, table.c.name, table.c.key, table.c.body, table.c.hash)
        key = chain.fact(told, at=0.0).key
        with self.database.read() as connection:
            query = sa.select(*columns).where(table.c.run == told.run, table.c.key == key)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else Entry(**row)

    def hashes(self, numbers: Collection[int]) -> dict[int, str]:
        """The hashes of the entries with these *numbers*, of those that there are."""
        with self.database.read() as connection:
            query = sa.select(table.c.seq, table.c.hash).where(table.c.seq.in_(numbers))
            return {row.seq: row.hash for row in connection.execute(query)}

    def last(self) -> int:
        """Number of the newest entry: cheap enough to ask twenty times a second whether there is more to `read`."""
        with self.database.read() as connection:
            return connection.execute(NEWEST).scalar() or 0

    def before(self, at: float) -> int:
        """A number after which everything is that was told since *at* (Unix seconds), and little else; no entry is searched.

        Clocks of several machines differ by seconds: ask for some more than is needed.
        """
        with self.database.read() as connection:
            return chain.before(connection, at)

    def verify(self, *, after: int = 0) -> Broken | None:
        """The first row after *after* that was changed, dropped or put in between; None: the chain holds."""
        with self.database.moment() as connection:
            return chain.verify(connection, after=after)

    def _write(self) -> None:
        wait = 0.0
        while True:
            with self._turn:
                if wait:
                    self._turn.wait_for(lambda: self._flushing or self._closing, timeout=wait)
                self._turn.wait_for(lambda: self._waiting or self._closing)
                self._turn.wait_for(lambda: self._flushing or self._closing, timeout=GATHER)
                batch = [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]
                if self._closing and (not batch or wait):
                    return
            stored, failure = self._store(batch)
            wait = min(5.0, wait * 2 or 0.2) if failure else 0.0
            with self._turn:
                self._failures += bool(failure)
                self._failure = failure
                self._kept += stored
                for _ in range(stored):
                    self._waiting.popleft()
                self._turn.notify_all()

    def _store(self, batch: list[Fact]) -> tuple[int, str]:
        """How many from the front of *batch* need no further attempt, and why the next one failed, if it did."""
        try:
            with self.database.write() as connection:
                chain.append(connection, batch)
        except (sa.exc.DataError, sa.exc.IntegrityError) as error:
            # One event that the database refuses for good must not hold up all others: halve until it stands alone.
            if len(batch) > 1:
                return self._store(batch[: len(batch) // 2])
            with self._turn:
                self._lost.append(f"{batch[0].event.name} was refused: {_text(error)}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the writer lives and says so in `flush`
            return 0, _text(error)
        return len(batch), ""


def _finish(done: asyncio.Future[None], error: EngineError | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _text(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)


def _unwritten(reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the ledger cannot be written: {reason}", hint="see `nightmill doctor`; free disk space if there is none"
    )
