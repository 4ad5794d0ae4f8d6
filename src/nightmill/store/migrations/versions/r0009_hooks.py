"""Webhooks, and what could not be delivered to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

big = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables of hooks and of letters."""
    op.create_table(
        "hook",
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("project", sa.String(80), nullable=False),
        sa.Column("added", sa.Float, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("seq", big, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("due", sa.Float, nullable=False),
        sa.Column("lost", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(40), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "letter",
        sa.Column("hook", sa.String(20), primary_key=True),
        sa.Column("seq", big, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("again", sa.Boolean, nullable=False),
    )
