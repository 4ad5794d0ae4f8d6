"""The latest runs of a project are found without going through all of its runs."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Put an index in the place of another."""
    op.create_index("run_project_created", "run", ["project", "created"])
    op.drop_index("ix_run_project", "run")
