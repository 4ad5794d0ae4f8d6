"""What runs write just now, and of which of them somebody wants to see it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the tables; nobody watches yet."""
    op.create_table(
        "watch",
        sa.Column("run", sa.String(40), primary_key=True),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "draft",
        sa.Column("run", sa.String(40), primary_key=True),
        sa.Column("attempt", sa.String(20), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
