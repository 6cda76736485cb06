"""Durations counted by the hour too, and a row for each day or hour. What was kept is made anew."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("drop table durations")
    op.execute("drop table duration_days")
    # the calls there were when they were counted: the counts hold for as long as it still is so many
    op.execute("""
        create table durations (
            workspace_id text collate "C" not null,
            start bigint not null,
            length bigint not null,
            calls bigint not null,
            latency_ms bytea not null,
            time_to_first_token_ms bytea not null,
            groups bytea not null,
            constraint pk_durations primary key (workspace_id, start, length)
        )
    """)
    # how often events were taken out, or sums made anew: what was counted before is not kept after
    op.execute("create table duration_epoch (epoch bigint not null)")
    op.execute("insert into duration_epoch values (0)")
