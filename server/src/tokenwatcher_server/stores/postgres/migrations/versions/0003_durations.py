"""Durations counted by the day, so that quantiles of many events need not read them all."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # what a day's sums were when its durations were counted: they hold for as long as it still is
    op.execute("""
        create table duration_days (
            day bigint not null,
            workspace_id text collate "C" not null,
            calls bigint not null,
            timed bigint not null,
            latency_ms numeric not null,
            output_tokens bigint not null,
            constraint pk_duration_days primary key (workspace_id, day)
        )
    """)
    op.execute("""
        create table durations (
            day bigint not null,
            workspace_id text collate "C" not null,
            project_id text collate "C" not null,
            provider text collate "C" not null,
            model text collate "C" not null,
            latency_ms bytea not null,
            time_to_first_token_ms bytea not null,
            constraint pk_durations primary key (workspace_id, day, project_id, provider, model)
        )
    """)
