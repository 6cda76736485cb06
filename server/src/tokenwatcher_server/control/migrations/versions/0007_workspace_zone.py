"""Workspaces have a time zone, for the alerts made in them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "workspaces",
        sa.Column("timezone", sa.String(100), nullable=False, server_default="UTC"),
    )
