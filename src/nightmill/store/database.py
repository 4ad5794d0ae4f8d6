"""One connection pool over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import event as hooks

from nightmill.errors import EngineError
from nightmill.store.tables import metadata

__all__ = ["Database"]


class Database:
    """Our tables. `read` and `write` give a connection in a transaction; a SQLite write holds the lock from its start.

    Raises:
        EngineError: If the database cannot be opened or its schema is newer than this version.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.dialect: str = engine.dialect.name

    @classmethod
    def open(cls, url: str) -> Self:
        """Open *url* (`sqlite:///path` or `postgresql://…`) and make sure that our tables are there."""
        try:
            database = cls(_engine(url))
            metadata.create_all(database.engine)
        except sa.exc.SQLAlchemyError as error:
            raise EngineError(f"the store cannot be opened: {error.__cause__ or error}", hint="see `nightmill doctor`") from error
        return database

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that only reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that commits at the end."""
        with self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            with connection.begin() if self.dialect != "sqlite" else _sqlite_transaction(connection):
                yield connection

    def close(self) -> None:
        """Close the pool."""
        self.engine.dispose()


@contextmanager
def _sqlite_transaction(connection: sa.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _engine(url: str) -> sa.Engine:
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 30})
        hooks.listen(engine, "connect", _prepare_sqlite)
        return engine
    driver = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return sa.create_engine(driver, pool_size=8, max_overflow=8, pool_pre_ping=True)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
