"""One connection pool over SQLite or PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy import event as hooks

from nightmill.errors import EngineError, StoreUnavailable
from nightmill.store.redaction import Redaction
from nightmill.store.tables import metadata

__all__ = ["AWAY", "HEAD", "Away", "Database", "why_away"]

AWAY = (StoreUnavailable, sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""What is raised when the store cannot be used for now; any other error of a database is a fault."""

WHYS = (
    (
        "disk is full",
        "the disk of the store is full",
        "make room on it: what was answered is kept, and it goes on by itself",
    ),
    (
        "No space left",
        "the disk of the store is full",
        "make room on it: what was answered is kept, and it goes on by itself",
    ),
    ("is locked", "another process holds the store for long", "try again; look for a copy or a shell that has it open"),
    ("readonly", "the store cannot be written", "look whose the files in `home` are, and how its disk is mounted"),
    (
        "too many clients",
        "the store takes no more connections",
        "raise max_connections of PostgreSQL, or run fewer workers",
    ),
)
"""What a database says of itself when it cannot be used, and how a person is told."""


class Away(NamedTuple):
    """Why the store cannot be used for now, and what to do."""

    reason: str
    hint: str


def why_away(error: BaseException) -> Away:
    """What one of `AWAY` comes to for people."""
    said = str(getattr(error, "orig", None) or error)
    return next(
        (Away(reason, hint) for sign, reason, hint in WHYS if sign in said), Away("the store is away", "try again")
    )


HEAD = "0016"
"""Revision of `tables.py`; the newest script in `migrations/versions` has the same."""

SCHEMA = "nightmill"
"""Where our tables live on PostgreSQL; the engine's own are in `dbos`."""

LOCK = 0x6E696768746D
"""Key of the PostgreSQL advisory lock that whoever changes the schema holds."""

ALSO: ContextVar[Callable[[sa.Connection], None] | None] = ContextVar("also", default=None)

version = sa.table("alembic_version", sa.column("version_num", sa.String))


class Database:
    """Our tables. `read` and `write` give a connection in a transaction.

    A SQLite write holds the lock from its start: nothing that it has read can change before it commits.
    """

    def __init__(self, engine: sa.Engine, *, hidden: Redaction | None = None) -> None:
        self.hidden = hidden or Redaction()
        """Leaves secrets out of all texts that are stored."""
        self.engine = engine.execution_options(hidden=self.hidden)
        self.dialect: str = engine.dialect.name
        sqlite = self.dialect == "sqlite"
        text = "(julianday('now') - 2440587.5) * 86400.0" if sqlite else "extract(epoch FROM clock_timestamp())"
        self.now: sa.ColumnElement[float] = sa.literal_column(text, sa.Float)
        """Unix seconds by the database's own clock, on which all machines agree."""
        self._looking: sa.PoolProxiedConnection | None = None

    @classmethod
    def open(cls, url: str, *, hidden: Redaction | None = None) -> Self:
        """Open *url* (`sqlite:///path` or `postgresql://…`) and bring its tables to this version.

        Doors open the store at each start, so a current one costs a single select.

        Raises:
            EngineError: If the database cannot be opened or its schema is newer than this version.
        """
        database = cls(_engine(url), hidden=hidden)
        try:
            if database.revision() != HEAD:
                database.migrate()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            database.close()
            raise EngineError(
                f"the store {_shown(url)} cannot be opened: {error.__cause__ or error}",
                hint="is there space on its disk, and may you write there? see `nightmill doctor`",
            ) from error
        except EngineError:
            database.close()
            raise
        return database

    def revision(self) -> str:
        """The schema's revision; "": there are no tables yet."""
        with self.engine.connect() as connection:
            return _revision(connection)

    def migrate(self) -> None:
        """Bring the tables to `HEAD`; processes that do so at once wait for each other.

        Raises:
            EngineError: If the schema is newer than this version.
        """
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            found = _revision(connection)
            if not found:
                metadata.create_all(connection)
                connection.exec_driver_sql(
                    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
                )
                connection.execute(sa.insert(version).values(version_num=HEAD))
            elif found > HEAD:
                raise EngineError(
                    f"the store's schema {found} is newer than this version's {HEAD}", hint="upgrade nightmill"
                )
            elif found < HEAD:
                from nightmill.store.migrations import upgrade  # noqa: PLC0415 - alembic is heavy and seldom needed

                upgrade(connection)

    def version(self) -> int | None:
        """A number that is another one after every write of anybody, for microseconds; None: the database has none."""
        if self.dialect != "sqlite":
            return None
        if self._looking is None:
            self._looking = self.engine.raw_connection()
        found: tuple[int] = self._looking.driver_connection.execute("PRAGMA data_version").fetchone()  # type: ignore[union-attr]
        return found[0]

    def insert(self, table: sa.Table) -> Any:
        """An insert that can say what is to be where the row is there: on PostgreSQL another may put it there meanwhile."""
        return import_module(f"sqlalchemy.dialects.{self.dialect}").insert(table)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that only reads, each time what there is then: no transaction is begun, which is two ways to PostgreSQL less."""
        with self.engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    @contextmanager
    def moment(self) -> Iterator[sa.Connection]:
        """A connection that only reads, and to which all that it reads is of one moment."""
        with self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that commits at the end."""
        with self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                if (also := ALSO.get()) is not None:
                    also(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def also(self, write: Callable[[sa.Connection], None]) -> Iterator[None]:
        """Whatever is written meanwhile, in this thread, is written with what *write* does, each time both or neither."""
        before = ALSO.set(write)
        try:
            yield
        finally:
            ALSO.reset(before)

    def close(self) -> None:
        """Close the pool."""
        if self._looking is not None:
            self._looking.close()
            self._looking = None
        self.engine.dispose()


def _shown(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", url).removeprefix("sqlite:///")


def _revision(connection: sa.Connection) -> str:
    # A missing table fails the statement, which on PostgreSQL would end the transaction: so it is looked up there.
    if connection.dialect.name == "postgresql":
        if connection.execute(sa.select(sa.func.to_regclass(f"{SCHEMA}.alembic_version"))).scalar() is None:
            return ""
        return str(connection.execute(sa.select(version.c.version_num)).scalar() or "")
    try:
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")
    except sa.exc.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return ""


def _engine(url: str) -> sa.Engine:
    if url.startswith("sqlite:///"):
        try:
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(f"the store's folder cannot be made: {error}", hint="see `nightmill doctor`") from error
        engine = sa.create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False, "timeout": 30})
        hooks.listen(engine, "connect", _prepare_sqlite)
        return engine
    if not url.startswith("postgresql://"):
        raise EngineError(f"the store {url.split(':', 1)[0]!r} is not known", hint="use sqlite:///… or postgresql://…")
    driver = url.replace("postgresql://", "postgresql+psycopg://", 1)
    # As for the engine: whoever freezes in a transaction must not hold up all others.
    options = {"options": f"-c search_path={SCHEMA} -c idle_in_transaction_session_timeout=10000"}
    pool: dict[str, Any] = {"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True}
    return sa.create_engine(driver, hide_parameters=True, connect_args=options, **pool)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say
    # The busy timeout comes first: changing the journal mode needs a lock too.
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
