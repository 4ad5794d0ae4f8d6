"""Whom identity providers mean."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table; nobody came in that way before."""
    op.create_table(
        "identity",
        sa.Column("issuer", sa.String(300), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("address", sa.String(254), nullable=False, index=True),
        sa.Column("at", sa.Float, nullable=False),
    )
