"""Who is let in at the doors of the network, and what they have asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables of people, grants, keys and receipts."""
    op.create_table(
        "person",
        sa.Column("address", sa.String(254), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("way", sa.String(80), nullable=False),
        sa.Column("added", sa.Float, nullable=False),
        sa.Column("removed", sa.Float, nullable=False),
    )
    op.create_table(
        "grant",
        sa.Column("address", sa.String(254), primary_key=True),
        sa.Column("project", sa.String(80), primary_key=True),
        sa.Column("role", sa.String(10), primary_key=True),
    )
    op.create_table(
        "key",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("address", sa.String(254), nullable=False, index=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("used", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.create_table(
        "receipt",
        sa.Column("address", sa.String(254), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False, index=True),
    )
