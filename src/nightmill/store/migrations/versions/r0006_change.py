"""What a person's yes was about, beside the tree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the digest of the change; of what was asked before it is not known, which is equal to nothing."""
    op.add_column("question", sa.Column("change", sa.String(64), nullable=False, server_default=""))
