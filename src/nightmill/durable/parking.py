"""Runs that wait for long leave their worker: in the engine's database, in one transaction each way.

A run that is parked there is in no process, and no worker holds it: its row is what `DBOS` calls delayed. It comes back
to its queue when a message for it is sent, or by the clock, and goes on from its checkpoints with whichever worker has a
place. A parent that waits for it is parked and comes back with it.

Who parks and who wakes take the lock of the run's row first and look then, so that no message falls between the two.
Uses the private database of dbos 3.4 (`_sys_db`): tests/durable fails loudly if an upgrade moves it.
"""

from __future__ import annotations

import json
import time
from typing import Any

import sqlalchemy as sa
from dbos import DBOS

__all__ = ["Parking"]

SLEEP = "DBOS.sleep"
"""What a wait writes down beside itself: until when."""


class Parking:
    """The rows of the runs of one database, as far as waiting goes. Every method blocks."""

    def __init__(self, dbos: DBOS, *, executor: str) -> None:
        self._database = dbos._sys_db  # noqa: SLF001 - see above
        self._executor = executor

    def park(self, run: str, topic: str) -> bool:
        """Take *run*, which waits for a message on *topic*, out of this process for as long as it has set itself.

        Returns:
            Whether it is parked. It is not, if a message is there, or the wait is over or not yet written down.
        """
        notes, outputs = self._database.tables.notifications, self._database.tables.operation_outputs
        with self._database.engine.begin() as connection:
            if not self._mine(connection, run):
                return False
            message = (notes.c.destination_uuid == run, notes.c.topic == topic, notes.c.consumed.is_(False))
            if connection.execute(sa.select(sa.literal(1)).where(*message).limit(1)).first():
                return False
            # A wait has two numbers: its own, under which its outcome is written, and then that of its sleep.
            query = sa.select(outputs).where(outputs.c.workflow_uuid == run).order_by(outputs.c.function_id.desc())
            latest = connection.execute(query.limit(2)).all()
            if not latest or latest[0].function_name != SLEEP:
                return False
            sleep = latest[0]
            if latest[-1].function_id == sleep.function_id - 1:
                return False
            until = float(json.loads(sleep.output))
            if until <= time.time():
                return False
            self._delay(connection, run, round(until * 1000))
        return True

    def follow(self, run: str, child: str) -> bool:
        """Park *run*, which waits for *child*, if that is parked; it comes back with it."""
        status = self._database.tables.workflow_status
        with self._database.engine.begin() as connection:
            found = self._locked(connection, child)
            if found is None or found.status != "DELAYED" or not self._mine(connection, run):
                return False
            query = sa.select(status.c.delay_until_epoch_ms).where(status.c.workflow_uuid == child)
            self._delay(connection, run, connection.execute(query).scalar_one())
        return True

    def wake(self, run: str) -> bool:
        """Give *run* back to its queue if it is parked and has a message; its parent, if that follows it."""
        notes, status = self._database.tables.notifications, self._database.tables.workflow_status
        with self._database.engine.begin() as connection:
            found = self._locked(connection, run)
            if found is None or found.status != "DELAYED":
                return False
            unheard = (notes.c.destination_uuid == run, notes.c.consumed.is_(False))
            if not connection.execute(sa.select(sa.literal(1)).where(*unheard).limit(1)).first():
                return False
            back = status.update().where(
                status.c.workflow_uuid.in_([run, found.parent_workflow_id or run]), status.c.status == "DELAYED"
            )
            connection.execute(back.values(status="ENQUEUED", delay_until_epoch_ms=None))
        return True

    def taken_up(self, run: str) -> int:
        """How often *run* was taken up since it began or was last parked: more than once, if a worker lost it."""
        attempts = self._database.tables.workflow_status.c
        query = sa.select(attempts.recovery_attempts).where(attempts.workflow_uuid == run)
        with self._database.engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def _locked(self, connection: sa.Connection, run: str) -> Any:
        """The row of *run*, locked. SQLite has one writer: there an update without an effect makes us that one."""
        status = self._database.tables.workflow_status
        own = status.c.workflow_uuid == run
        if connection.dialect.name == "sqlite":
            connection.execute(status.update().where(own).values(owner_xid=status.c.owner_xid))
        columns = (status.c.status, status.c.executor_id, status.c.parent_workflow_id)
        return connection.execute(sa.select(*columns).where(own).with_for_update()).first()

    def _mine(self, connection: sa.Connection, run: str) -> bool:
        found = self._locked(connection, run)
        return found is not None and (found.status, found.executor_id) == ("PENDING", self._executor)

    def _delay(self, connection: sa.Connection, run: str, until: int) -> None:
        status = self._database.tables.workflow_status
        connection.execute(
            status.update()
            .where(status.c.workflow_uuid == run)
            .values(
                status="DELAYED",
                delay_until_epoch_ms=until,
                # Whatever of it is left in this process may write nothing any more.
                owner_xid=None,
                started_at_epoch_ms=None,
                # It came as far as here: being taken up again is no recovery.
                recovery_attempts=0,
            )
        )
