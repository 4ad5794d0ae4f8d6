"""Which blueprints people approved of: each approval is of exact bytes, of all that is called too, for one project."""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from nightmill.event import BlueprintApproved, BlueprintRevoked
from nightmill.store import chain, tables
from nightmill.store.database import Database
from nightmill.store.projection import storable

__all__ = ["Approval", "approve", "kept", "revoke"]

table = tables.approval


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's yes to a blueprint and all that it calls.

    Attributes:
        project: Id of the project that it is for.
        closure: SHA-256 over the names and bytes of all of it; *parts* are the lines that it was made from.
        digest: SHA-256 of the blueprint's own file, and the blob that holds it.
        at: Unix seconds; *revoked*, too, 0 as long as it stands.
    """

    project: str
    name: str
    closure: str
    digest: str
    version: int
    parts: tuple[str, ...]
    by: str
    at: float
    revoked_by: str = ""
    revoked: float = 0.0

    @property
    def stands(self) -> bool:
        """Whether nobody took it back."""
        return not self.revoked


def approve(database: Database, approval: Approval) -> None:
    """Keep *approval*, and tell the ledger, in one transaction. One that stands already stays as it is."""
    same = _same(approval.project, approval.name, approval.closure)
    row = {
        **{name: getattr(approval, name) for name in ("project", "name", "closure", "digest", "version", "at")},
        "parts": json.dumps(approval.parts),
        "by": storable(approval.by),
        "revoked_by": "",
        "revoked": 0.0,
    }
    told = BlueprintApproved(
        run="",
        project=approval.project,
        blueprint=approval.name,
        version=approval.version,
        digest=approval.digest,
        closure=approval.closure,
        by=approval.by,
    )
    with database.write() as connection:
        chain.lock(connection)  # first, so that two who approve at once wait for each other
        if connection.execute(sa.select(table.c.at).where(*same, table.c.revoked == 0)).first():
            return
        connection.execute(table.delete().where(*same))
        connection.execute(sa.insert(table).values(row))
        chain.append(connection, [chain.fact(told, at=approval.at)])


def revoke(database: Database, approval: Approval, *, by: str, at: float) -> bool:
    """Take *approval* back, and tell the ledger, in one transaction; False if it did not stand any more."""
    same = _same(approval.project, approval.name, approval.closure)
    told = BlueprintRevoked(
        run="",
        project=approval.project,
        blueprint=approval.name,
        digest=approval.digest,
        closure=approval.closure,
        by=by,
    )
    with database.write() as connection:
        chain.lock(connection)
        change = table.update().where(*same, table.c.revoked == 0).values(revoked=at, revoked_by=storable(by))
        if not connection.execute(change).rowcount:
            return False
        chain.append(connection, [chain.fact(told, at=at)])
    return True


def kept(database: Database, project: str, name: str = "") -> list[Approval]:
    """The approvals for *project*, newest first; of the blueprint *name* only, if one is named."""
    query = sa.select(table).where(table.c.project == project)
    if name:
        query = query.where(table.c.name == name)
    with database.read() as connection:
        rows = connection.execute(query.order_by(table.c.at.desc(), table.c.closure)).mappings()
        return [Approval(**{**row, "parts": tuple(json.loads(row["parts"]))}) for row in rows]


def _same(project: str, name: str, closure: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.project == project, table.c.name == name, table.c.closure == closure
