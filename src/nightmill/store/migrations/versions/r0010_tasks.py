"""What runs leave for somebody to start, and which questions end their run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table of tasks; of questions that are open nobody knows by their row whether they end their run."""
    op.create_table(
        "task",
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("run", sa.String(40), nullable=False, index=True),
        sa.Column("project", sa.String(80), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("findings", sa.Integer, nullable=False),
        sa.Column("tree", sa.String(64), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("body", sa.String(64), nullable=False),
        sa.Column("filed", sa.Float, nullable=False),
        sa.Column("child", sa.String(40), nullable=False, index=True),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("because", sa.Text, nullable=False),
        sa.Column("dropped", sa.Float, nullable=False),
    )
    op.add_column("question", sa.Column("ends", sa.Boolean, nullable=False, server_default=sa.false()))
