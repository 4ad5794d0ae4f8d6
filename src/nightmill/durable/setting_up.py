"""How the engine's library is set up: its database, its serializer, its words in our log."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nightmill.durable.plain import PlainSerializer

if TYPE_CHECKING:
    from dbos import DBOSConfig, Serializer

__all__ = ["VERSION", "Forward", "RelaxedConnection", "config", "prepare", "quiet"]

VERSION = "1"
"""Fixed: the engine recovers only runs of its own version, and its default changes with every edit of a workflow."""

RECEIVE_POLL = 0.5
IDLE_TRANSACTION = 10.0


class Forward(logging.Handler):
    """Hands the engine's records to our logger."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* as ours."""
        # It warns of each task that we cancel, which is what we meant.
        if self._log.isEnabledFor(record.levelno) and not str(record.msg).startswith("Asyncio task cancelled"):
            self._log.handle(record)


def config(url: str, *, executor_id: str, threads: int) -> DBOSConfig:
    """How DBOS is told to work on *url*."""
    made: DBOSConfig = {
        "name": "nightmill",
        "system_database_url": url,
        "executor_id": executor_id,
        "application_version": VERSION,
        "max_executor_threads": threads,
        "notification_listener_polling_interval_sec": RECEIVE_POLL,
        "log_level": "WARNING",
        # A worker that freezes in a transaction keeps its locks, and with them the run from whoever adopts it.
        "sys_db_idle_transaction_timeout_sec": IDLE_TRANSACTION,
        "serializer": cast("Serializer", PlainSerializer()),
    }
    # Its warnings quote the statement that failed: without what was in it.
    options: dict[str, Any] = {"hide_parameters": True}
    if url.startswith("sqlite:///"):
        # The pool makes its own connections, and `synchronous` is a property of each.
        options["connect_args"] = {"factory": RelaxedConnection}
    made["db_engine_kwargs"] = options
    return made


class RelaxedConnection(sqlite3.Connection):
    """A connection that does not wait for the disk at each commit: WAL keeps it whole through any kill.

    A power loss may take the last commits with it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute("PRAGMA synchronous=NORMAL")


def prepare(url: str) -> None:
    """Make the SQLite file of *url*, in the journal mode in which readers and a writer do not wait for each other."""
    if not url.startswith("sqlite:///"):
        return
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def quiet(log: logging.Logger) -> None:
    """Have everything that the engine says go to *log*."""
    # With a handler there already, DBOS adds none of its own to stderr.
    theirs = logging.getLogger("dbos")
    theirs.handlers = [Forward(log)]
    theirs.propagate = False
