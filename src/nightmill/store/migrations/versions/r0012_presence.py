"""Who looks on at a run from a terminal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the table; nobody looks on yet."""
    op.create_table(
        "presence",
        sa.Column("run", sa.String(40), primary_key=True),
        sa.Column("by", sa.String(400), primary_key=True),
        sa.Column("terminal", sa.String(40), primary_key=True),
        sa.Column("until", sa.Float, nullable=False, index=True),
    )
