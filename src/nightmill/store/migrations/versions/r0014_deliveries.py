"""How the last letters to webhooks went, and which webhooks are paused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table, and pause none; of what was delivered before, nothing is known."""
    op.add_column("hook", sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "delivery",
        sa.Column("hook", sa.String(20), primary_key=True),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("event", sa.String(80), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
