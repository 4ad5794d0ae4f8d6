"""How many words people said to a run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the count; nobody could say anything before."""
    op.add_column("run", sa.Column("words", sa.Integer, nullable=False, server_default="0"))
