"""What agents noted, for the runs after theirs. It never leaves its project, and people may delete it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from nightmill.errors import SettingsError
from nightmill.event import NotesForgotten
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.projection import storable

__all__ = ["KEPT", "Note", "delete", "forget", "forgotten", "keep", "newest", "prune"]

KEPT = 2_000
"""Of one project; the oldest go first."""
table = tables.note


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note of the run *run*; *key* is its own there, so that it is kept once however often it is told.

    Attributes:
        kind: "discovery", "failed_approach", "report" (of an explorer), "failed_proof" or "stopped".
        who: Who wrote it: a role.
        spec: Digest of the spec that the run worked on; *tree*: the git tree that it started from.
        files: What the note is about: path → id of the git blob that the tree has there.
        at: Unix seconds.
    """

    project: str
    run: str
    key: str
    kind: str
    who: str
    text: str
    spec: str
    tree: str
    files: dict[str, str] = field(default_factory=dict)
    at: float = 0.0

    @property
    def id(self) -> str:
        """Its name for people."""
        return f"{self.run}/{self.key}"


def keep(database: Database, notes: Sequence[Note], *, instead: Collection[str] = ()) -> None:
    """Keep *notes*, all of one run, in place of those of it whose text is in *instead*; one that is there stays."""
    if not notes:
        return
    run = notes[0].run
    with database.write() as connection:
        if instead:
            gone = [storable(database.hidden.text(text)) for text in instead]
            connection.execute(table.delete().where(table.c.run == run, table.c.text.in_(gone)))
        there = set(connection.execute(sa.select(table.c.key).where(table.c.run == run)).scalars())
        hidden = [replace(note, text=database.hidden.text(note.text)) for note in notes]
        new = {note.key: _row(note) for note in hidden if note.key not in there}
        if new:
            connection.execute(sa.insert(table), list(new.values()))


def newest(database: Database, project: str, *, most: int = KEPT, after: tuple[float, str] | None = None) -> list[Note]:
    """The notes of *project*, newest first; those that come *after* the time and the id of one."""
    query = sa.select(table).where(table.c.project == project).order_by(table.c.at.desc(), table.c.run, table.c.key)
    if after is not None:
        at, (run, _, key) = after[0], after[1].partition("/")
        later = sa.or_(table.c.run > run, sa.and_(table.c.run == run, table.c.key > key))
        query = query.where(sa.or_(table.c.at < at, sa.and_(table.c.at == at, later)))
    with database.read() as connection:
        rows = connection.execute(query.limit(most)).mappings()
        return [Note(**{**row, "files": json.loads(row["files"])}) for row in rows]


def forget(database: Database, project: str, ids: Collection[str] | None = None) -> int:
    """Delete those of *project* that *ids* names, None: all; how many went."""
    where = [table.c.project == project]
    if ids is not None:
        where.append((table.c.run + "/" + table.c.key).in_(list(ids)))
    with database.write() as connection:
        return connection.execute(table.delete().where(*where)).rowcount


def delete(database: Database, project: str, ids: Collection[str] | None, *, by: str, at: float) -> int:
    """Delete those of *project* that *ids* names, None: all, in the name of *by*, and tell the ledger; how many went.

    Raises:
        SettingsError: If one of *ids* is none of its notes: then none is deleted.
    """
    with database.write() as connection:
        chain.lock(connection)
        mine = (table.c.project == project,)
        known = set(connection.execute(sa.select(table.c.run + "/" + table.c.key).where(*mine)).scalars())
        if unknown := sorted(set(ids or ()) - known):
            raise SettingsError(
                f"the project has no note {unknown[0]!r}; nothing was deleted", hint="nightmill notes list"
            )
        named = () if ids is None else ((table.c.run + "/" + table.c.key).in_(list(ids)),)
        gone = connection.execute(table.delete().where(*mine, *named)).rowcount
        if gone:
            told = NotesForgotten(run="", project=project, count=gone, by=by)
            chain.append(connection, [chain.fact(told, at=at)])
    return gone


def forgotten(database: Database, project: str, *, by: str) -> int:
    """How many of *project* went when *by* deleted some last."""
    told = sa.select(tables.event.c.body).where(tables.event.c.name == NotesForgotten.name)
    with database.read() as connection:
        bodies = connection.execute(told.order_by(tables.event.c.seq.desc())).scalars()
        every = (json.loads(each) for each in bodies)
        return next((int(each["count"]) for each in every if (each["project"], each["by"]) == (project, by)), 0)


def prune(database: Database) -> int:
    """Delete what is more than `KEPT` of any project; how many went."""
    with database.read() as connection:
        projects = connection.execute(
            sa.select(table.c.project).group_by(table.c.project).having(sa.func.count() > KEPT)
        )
        full = list(projects.scalars())
    return sum(
        forget(database, project, [note.id for note in newest(database, project, most=2**31)[KEPT:]])
        for project in full
    )


def _row(note: Note) -> dict[str, object]:
    texts = {"key": note.key, "who": note.who, "text": note.text}
    row = {name: storable(value) for name, value in texts.items()}
    files = json.dumps({storable(path): blob for path, blob in note.files.items()}, sort_keys=True)
    plain = {"project": note.project, "run": note.run, "kind": note.kind, "spec": note.spec, "tree": note.tree}
    return {**row, **plain, "files": files, "at": note.at}
