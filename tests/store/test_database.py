from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nightmill.errors import EngineError
from nightmill.store import Database
from nightmill.store.database import HEAD, version
from nightmill.store.migrations import script, upgrade
from nightmill.store.tables import metadata
from tests.conftest import Python

OPEN = """
import sys
from nightmill.store import Database
Database.open(sys.argv[1]).close()
print("alembic" in sys.modules)
"""


def test_four_processes_that_open_an_empty_store_at_once_all_get_it(url: str, python: Python) -> None:
    processes = [python(OPEN, url) for _ in range(4)]

    said = [process.communicate()[0].strip() for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    assert said == ["False"] * 4, "alembic was imported although there was nothing to upgrade"


def test_the_scripts_make_the_same_tables_as_the_metadata(url: str) -> None:
    Database.open(url).close()
    database = Database.open(url)
    with database.write() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DELETE FROM alembic_version")
        upgrade(connection)

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert database.revision() == HEAD == script().get_current_head()
    database.close()


OLDER = [each.revision for each in script().walk_revisions() if each.revision != HEAD]


@pytest.mark.parametrize("revision", OLDER)
def test_a_store_of_each_earlier_version_is_brought_up_to_this_one_with_its_rows(url: str, revision: str) -> None:
    Database.open(url).close()
    database = Database.open(url)
    with database.write() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DELETE FROM alembic_version")
        upgrade(connection, to=revision)
        before = filled(connection)
    assert database.revision() == revision
    assert {"project", "event", "run"} <= before.keys()
    database.close()

    database = Database.open(url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        for name, row in before.items():
            (after,) = connection.execute(sa.select(metadata.tables[name])).mappings()
            assert dict(after) | row == dict(after), name
    assert database.revision() == HEAD
    database.close()


def filled(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """A row in each table that there is, and what it holds."""
    there, rows = sa.MetaData(), dict[str, dict[str, Any]]()
    there.reflect(connection)
    for table in there.sorted_tables:
        if table.name != "alembic_version":
            rows[table.name] = {column.name: some(column.type) for column in table.columns}
            connection.execute(sa.insert(table), rows[table.name])
    return rows


def some(kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, sa.String):
        return "a row of before"[: kind.length]
    return kind.python_type(1)


def test_a_store_of_an_unknown_revision_is_refused_and_keeps_its_rows(database: Database, url: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO project VALUES ('p', '/p', '/hub', 1.0)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(EngineError, match="cannot be upgraded"):
        Database.open(url)  # a revision that no script knows is refused, not guessed at

    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT id FROM project").scalars().all() == ["p"]


def test_a_newer_store_is_refused_and_left_alone(database: Database, url: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(EngineError, match="newer than this version") as caught:
        Database.open(url)

    assert caught.value.hint == "upgrade nightmill"
    assert database.revision() == "9999"


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def half() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO project VALUES ('p', '/p', '/hub', 1.0)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()

    with database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM project")).scalar() == 0


@pytest.mark.parametrize("bad", ["mysql://x/y", "sqlite:////proc/none/store.db", "postgresql://127.0.0.1:1/none"])
def test_a_store_that_cannot_be_opened_says_so(bad: str) -> None:
    with pytest.raises(EngineError):
        Database.open(bad)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("not a database, and long enough to have a header of its own" * 20)

    with pytest.raises(EngineError, match="not a database"):
        Database.open(f"sqlite:///{tmp_path}/store.db")


def test_its_version_is_another_after_each_write_of_anybody_and_the_same_without(database: Database, url: str) -> None:
    first = database.version()
    if first is None:
        pytest.skip("only SQLite tells that something was written")
    other = Database.open(url)

    assert database.version() == first
    seen = [first]
    for each in (database, other):
        with each.write() as connection:
            connection.execute(sa.update(version).values(version_num=HEAD))
        seen.append(database.version() or 0)
    other.close()

    assert len(set(seen)) == 3
