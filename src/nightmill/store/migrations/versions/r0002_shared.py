"""What runs share: rates of providers' keys, and money."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

big = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables of gates, accounts and reservations."""
    op.create_table(
        "gate",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "account",
        sa.Column("scope", sa.String(10), primary_key=True),
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("money", big, nullable=False),
        sa.Column("tokens", big, nullable=False),
        sa.Column("raised", big, nullable=False),
    )
    op.create_table(
        "reservation",
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("run", sa.String(40), nullable=False),
        sa.Column("worker", sa.String(80), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("project", sa.String(80), nullable=False),
        sa.Column("spec", sa.String(40), nullable=False),
        sa.Column("money", big, nullable=False),
        sa.Column("tokens", big, nullable=False),
    )
    op.create_index("ix_reservation_run", "reservation", ["run"])
