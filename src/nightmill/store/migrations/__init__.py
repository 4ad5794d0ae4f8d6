"""Changes of the tables, one script per revision, run when an older store is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from nightmill.errors import EngineError

__all__ = ["script", "upgrade"]


def script() -> ScriptDirectory:
    """The scripts beside this file."""
    return ScriptDirectory(str(Path(__file__).parent))


def upgrade(connection: sa.Connection, *, to: str = "head") -> None:
    """Run what is missing up to *to*, in the transaction that *connection* is in.

    Raises:
        EngineError: If no script leads from what is there to *to*.
    """
    scripts = script()

    def missing(found: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(to, found)  # noqa: SLF001 - alembic's own env.py template goes this way

    with EnvironmentContext(Config(), scripts, fn=missing, destination_rev=to) as environment:
        # The caller's transaction holds the lock, so a script may not commit it.
        environment.configure(connection=connection, transactional_ddl=True)
        try:
            environment.run_migrations()
        except CommandError as error:
            raise EngineError(f"the store cannot be upgraded: {error}", hint="restore it from a backup") from error
