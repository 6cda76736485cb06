"""Events by month, what makes them unique, and their sums by the hour.

Instants are microseconds since 1970 (UTC), money is picodollars. Sums are wider than 64 bits.
"""

from alembic import op

revision = "0001"
down_revision = None

_SUMS = """
    calls bigint not null,
    errors bigint not null,
    unpriced bigint not null,
    priced bigint not null,
    cost numeric not null,
    input_tokens bigint not null,
    output_tokens bigint not null
"""

_TABLES = (
    """
    create sequence event_commits
    """,
    """
    create table events (
        sequence bigint not null,
        place integer not null,
        occurred_at bigint not null,
        received_at bigint not null,
        input_tokens bigint not null,
        output_tokens bigint not null,
        cost_total bigint,
        cost_fees bigint,
        cache_savings bigint,
        latency_ms bigint,
        time_to_first_token_ms bigint,
        input_text bigint,
        input_audio bigint,
        input_image bigint,
        input_tool_prompt bigint,
        cache_read bigint,
        cache_read_audio bigint,
        cache_write_5m bigint,
        cache_write_1h bigint,
        cache_write_other bigint,
        output_text bigint,
        output_reasoning bigint,
        output_audio bigint,
        reported_cost bigint,
        stated_cost bigint,
        id text collate "C" not null,
        workspace_id text collate "C" not null,
        project_id text collate "C" not null,
        event_type text collate "C" not null,
        status text collate "C" not null,
        provider text collate "C" not null,
        model text collate "C" not null,
        usage_quality text collate "C" not null,
        requested_model text collate "C",
        service_tier text collate "C",
        requested_service_tier text collate "C",
        streaming boolean,
        user_id text collate "C",
        end_user_id text collate "C",
        session_id text collate "C",
        request_id text,
        response_id text,
        trace_id text,
        span_id text,
        parent_span_id text,
        error_type text collate "C",
        error_message text,
        tags jsonb,
        metadata text,
        server_tool_calls text,
        prompt text,
        completion text,
        cost_rates text,
        price_id text collate "C",
        price_match text,
        unpriced_reason text
    ) partition by range (occurred_at)
    """,
    """
    create index ix_events_workspace_id_occurred_at on events (workspace_id, occurred_at)
        include (project_id, latency_ms, time_to_first_token_ms)
    """,
    # what makes an event the same as another, whichever month it is of
    """
    create table event_ids (
        workspace_id text collate "C" not null,
        id text collate "C" not null,
        digest bytea not null,
        occurred_at bigint not null,
        constraint pk_event_ids primary key (workspace_id, id)
    )
    """,
    """
    create table event_answers (
        fingerprint bytea not null,
        occurred_at bigint not null,
        constraint pk_event_answers primary key (fingerprint)
    )
    """,
    # how much there is; a row has parts, so that servers that write at once don't wait for each other
    """
    create table event_counts (
        part smallint not null,
        events bigint not null,
        commits bigint not null,
        constraint pk_event_counts primary key (part)
    )
    """,
    "insert into event_counts select part, 0, 0 from generate_series(0, 7) as part",
    # later costs, each with the one before it: what an event cost at first is never forgotten
    """
    create table event_repricings (
        sequence bigint not null,
        place integer not null,
        workspace_id text collate "C" not null,
        id text collate "C" not null,
        cost_total bigint,
        cost_rates text,
        cost_fees bigint,
        cache_savings bigint,
        price_id text,
        price_match text,
        unpriced_reason text,
        was jsonb not null,
        constraint pk_event_repricings primary key (workspace_id, id, sequence)
    )
    """,
    """
    create table event_tag_slots (
        slot integer not null,
        key text collate "C" not null,
        summed boolean not null,
        constraint pk_event_tag_slots primary key (slot),
        constraint uq_event_tag_slots_key unique (key)
    )
    """,
    f"""
    create table hours (
        hour bigint not null,
        part smallint not null,
        workspace_id text collate "C" not null,
        project_id text collate "C" not null,
        provider text collate "C" not null,
        model text collate "C" not null,
        {_SUMS},
        saving bigint not null,
        cache_savings numeric not null,
        reported bigint not null,
        reported_cost numeric not null,
        cache_read_tokens bigint not null,
        cache_write_tokens bigint not null,
        reasoning_tokens bigint not null,
        timed bigint not null,
        latency_ms numeric not null,
        constraint pk_hours
            primary key (workspace_id, hour, project_id, provider, model, part)
    ) with (fillfactor = 70)
    """,
    f"""
    create table tag_hours (
        hour bigint not null,
        slot integer not null,
        part smallint not null,
        value text collate "C" not null,
        workspace_id text collate "C" not null,
        project_id text collate "C" not null,
        {_SUMS},
        constraint pk_tag_hours
            primary key (slot, workspace_id, hour, project_id, value, part)
    ) with (fillfactor = 70)
    """,
)


def upgrade() -> None:
    for table in _TABLES:
        op.execute(table)
