"""What later runs are given of earlier ones: notes, and results of checks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables of notes and results."""
    op.create_table(
        "note",
        sa.Column("run", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(120), primary_key=True),
        sa.Column("project", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("who", sa.String(80), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("spec", sa.String(64), nullable=False),
        sa.Column("tree", sa.String(64), nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("note_project_at", "note", ["project", "at"])
    op.create_table(
        "result",
        sa.Column("project", sa.String(80), primary_key=True),
        sa.Column("environment", sa.String(64), primary_key=True),
        sa.Column("tree", sa.String(64), primary_key=True),
        sa.Column("command", sa.String(64), primary_key=True),
        sa.Column("run", sa.String(40), nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("exit", sa.Integer, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("result_project_at", "result", ["project", "at"])
