"""The projects that were set up, and how their checks ended before any change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from nightmill.errors import SettingsError
from nightmill.store import tables
from nightmill.store.database import Database

__all__ = ["Known", "baseline", "get", "keep", "keep_baseline", "known", "latest_baseline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A project: the owner's checkout *root*, and the bare repository *hub* beside which its changes live."""

    id: str
    root: Path
    hub: Path
    added: float


def keep(database: Database, project: Known) -> None:
    """Enter *project*, or note its new folders."""
    row = {"id": project.id, "root": str(project.root), "hub": str(project.hub)}
    table = tables.project
    with database.write() as connection:
        put = database.insert(table).values(**row, added=project.added)
        connection.execute(put.on_conflict_do_update(index_elements=["id"], set_=row))


def known(database: Database) -> list[Known]:
    """All projects, oldest first."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(tables.project).order_by(tables.project.c.added, tables.project.c.id)
        ).mappings()
        return [Known(id=row["id"], root=Path(row["root"]), hub=Path(row["hub"]), added=row["added"]) for row in rows]


def get(database: Database, name: str) -> Known:
    """The project with the id *name*.

    Raises:
        SettingsError: If there is none.
    """
    for project in known(database):
        if project.id == name:
            return project
    raise SettingsError(f"there is no project {name!r}", hint="run `nightmill init` in its folder")


def keep_baseline(
    database: Database, *, project: str, tree: str, checks: str, change: Callable[[str | None], str], at: float
) -> str:
    """Keep as the baseline of *tree* under *checks*, the hash of their definition, what *change* makes of the one kept before.

    Both are plain JSON texts, None: none was kept. Nobody writes in between, so that what two runs learn at once adds up;
    *change* may be asked again, and has no effects. Gives what is kept now.
    """
    table = tables.baseline
    same = (table.c.project == project, table.c.tree == tree, table.c.checks == checks)
    while True:
        try:
            with database.write() as connection:
                found = sa.select(table.c.body).where(*same).with_for_update()
                before = connection.execute(found).scalar_one_or_none()
                body = change(before)
                if before is None:
                    row = {"project": project, "tree": tree, "checks": checks, "body": body, "at": at}
                    connection.execute(sa.insert(table).values(**row))
                else:
                    connection.execute(table.update().where(*same).values(body=body, at=at))
        except sa.exc.IntegrityError:
            continue  # another process was first: there is one to change now
        return body


def baseline(database: Database, *, project: str, tree: str, checks: str) -> str | None:
    """What `keep_baseline` kept, None if nothing was."""
    table = tables.baseline
    same = (table.c.project == project, table.c.tree == tree, table.c.checks == checks)
    with database.read() as connection:
        return connection.execute(sa.select(table.c.body).where(*same)).scalar_one_or_none()


def latest_baseline(database: Database, *, project: str, checks: str = "") -> str | None:
    """What was kept last for any tree under *checks* ("": under any), None if nothing was."""
    table = tables.baseline
    query = sa.select(table.c.body).where(table.c.project == project)
    if checks:
        query = query.where(table.c.checks == checks)
    with database.read() as connection:
        return connection.execute(query.order_by(table.c.at.desc()).limit(1)).scalar_one_or_none()
