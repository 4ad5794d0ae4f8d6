"""Who looks on at a run from a terminal just now: each says so again and again, and is forgotten soon after the last time."""

from __future__ import annotations

import sqlalchemy as sa

from nightmill.store.database import Database
from nightmill.store.tables import presence as table

__all__ = ["Presence"]


class Presence:
    """Those who are there. Times are the database's own, so machines need not agree on theirs."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def attend(self, run: str, terminal: str, *, by: str, seconds: float) -> tuple[str, ...]:
        """Note that *by* looks on at *run* for *seconds* more, 0: no longer. Gives who else does, each once, by name.

        *terminal* tells one view of theirs from another, in which they are somebody else, too.
        """
        now = self.database.now
        own = sa.and_(table.c.run == run, table.c.by == by, table.c.terminal == terminal)
        with self.database.write() as connection:
            connection.execute(table.delete().where(sa.or_(table.c.until <= now, own)))
            if seconds > 0:
                row = {"run": run, "by": by, "terminal": terminal, "until": now + seconds}
                # Sent twice, it may be there twice at once: one of them is as good as the other.
                connection.execute(self.database.insert(table).values(row).on_conflict_do_nothing())
        others = sa.select(table.c.by).where(table.c.run == run, table.c.until > now, sa.not_(own))
        with self.database.read() as connection:
            return tuple(connection.execute(others.distinct().order_by(table.c.by)).scalars())
