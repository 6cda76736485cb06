"""Workspaces say how long they keep events and prompts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("workspaces", sa.Column("keep_events_days", sa.Integer(), nullable=True))
    op.add_column(
        "workspaces",
        sa.Column("keep_prompts_days", sa.Integer(), nullable=True, server_default="30"),
    )
