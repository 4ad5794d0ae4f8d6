"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

big = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create every table of the first version."""
    op.create_table(
        "project",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("hub", sa.Text, nullable=False),
        sa.Column("added", sa.Float, nullable=False),
    )
    _runs()
    _events()
    _proofs()
    op.create_table(
        "worker",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("beat", sa.Float, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
    )


def _runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("parent", sa.String(40), nullable=False),
        sa.Column("project", sa.String(80), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("assignment", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("wanted", sa.String(10), nullable=False),
        sa.Column("wanted_by", sa.Text, nullable=False),
        sa.Column("wishes", sa.Integer, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("why", sa.String(20), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("tokens", big, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.Column("priced", sa.Boolean, nullable=False),
        sa.Column("pull_request", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(80), nullable=False),
    )
    op.create_index("ix_run_parent", "run", ["parent"])
    op.create_index("ix_run_project", "run", ["project"])


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("seq", big, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("run", sa.String(40), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("key", sa.String(200), nullable=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("run", "key"),
    )
    op.create_index("event_run_seq", "event", ["run", "seq"])


def _proofs() -> None:
    op.create_table(
        "pull_request",
        sa.Column("project", sa.String(80), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(80), nullable=False, unique=True),
        sa.Column("run", sa.String(40), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("base", sa.String(64), nullable=False),
        sa.Column("tree", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("opened", sa.Float, nullable=False),
        sa.Column("merged", sa.Float, nullable=False),
        sa.Column("merged_by", sa.Text, nullable=False),
        sa.Column("merge_commit", sa.String(64), nullable=False),
    )
    op.create_table(
        "proof",
        sa.Column("project", sa.String(80), primary_key=True),
        sa.Column("tree", sa.String(64), primary_key=True),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_table(
        "baseline",
        sa.Column("project", sa.String(80), primary_key=True),
        sa.Column("tree", sa.String(64), primary_key=True),
        sa.Column("checks", sa.String(64), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
