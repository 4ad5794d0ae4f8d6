"""Which token a token was made with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column; those from before were made by people."""
    op.add_column("key", sa.Column("maker", sa.String(64), nullable=False, server_default=""))
