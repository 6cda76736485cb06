"""The tables, on one server and on a cluster, as numbered steps.

A step can be run again: two servers that start together may both run it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tokenwatcher_server.stores.schema import COLUMNS, Kind

_REPEATED: Final = (
    "workspace_id", "project_id", "event_type", "status", "provider", "model", "usage_quality",
    "requested_model", "service_tier", "requested_service_tier", "error_type", "cost_rates",
    "price_id", "price_match", "unpriced_reason",
)  # fmt: skip
"""Texts of which there are few different ones."""
_ALWAYS: Final = (
    "id", "workspace_id", "project_id", "event_type", "status", "provider", "model",
    "usage_quality", "metadata", "server_tool_calls",
)  # fmt: skip
_TYPES: Final = {
    Kind.ID: "String",
    Kind.TEXT: "String",
    Kind.NUMBER: "Int64",
    Kind.INSTANT: "Int64",
    Kind.FLAG: "Bool",
    Kind.TAGS: "Map(LowCardinality(String), String)",
    Kind.JSON: "String",
}
_OWN: Final = {
    "place": "Int32",
    "sequence": "Int64",
    "position": "UInt32",
    "version": "UInt64",
    "void": "UInt8",
    "changed": "Int64",
    "change": "UInt32",
    "content_digest": "FixedString(16)",
    "answer": "UInt128",
    "earlier": "String",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
}
"""What the store notes of a row, beside the event: see `rows.py`."""


def _type(name: str, kind: Kind) -> str:
    inner = _TYPES[kind]
    absent = kind in {Kind.TEXT, Kind.NUMBER, Kind.FLAG} and name not in _ALWAYS
    inner = f"Nullable({inner})" if absent else inner
    return f"LowCardinality({inner})" if name in _REPEATED else inner


COLUMN_TYPES: Final[Mapping[str, str]] = {
    **{column.name: _type(column.name, column.kind) for column in COLUMNS},
    **_OWN,
}
"""The columns of `events`, in their order."""
SENT_TYPES: Final[Mapping[str, str]] = {
    name: kind.removeprefix("LowCardinality(").removesuffix(")")
    if kind.startswith("LowCardinality(")
    else kind.replace("LowCardinality(String)", "String")
    for name, kind in COLUMN_TYPES.items()
}
"""What they are sent as: the server makes few of many texts by itself."""
KEY_COLUMNS: Final = (
    "workspace_id", "id", "place", "sequence", "position", "void", "content_digest", "answer",
)  # fmt: skip
"""What says which event a row is, found by its id and by its answer."""
REMEMBERED: Final = 10_000
"""The last inserts that a server knows again, so that one that is repeated is stored once."""


def steps(cluster: str | None) -> Sequence[Sequence[str]]:
    """The statements of every step, from the first on."""
    return (_first(cluster), _erased(cluster), _synced(cluster))


def _first(cluster: str | None) -> Sequence[str]:
    keys = ", ".join(KEY_COLUMNS)
    columns = [f"{name} {kind}" for name, kind in COLUMN_TYPES.items()]
    columns += [
        "index by_time occurred_at type minmax granularity 1",
        "index by_commit sequence type minmax granularity 1",
        "index by_change changed type minmax granularity 1",
        f"projection by_id (select {keys} order by id)",
        f"projection by_answer (select {keys} order by answer)",
    ]
    return (
        *_table(
            "events",
            columns,
            "ReplacingMergeTree",
            "version, void",
            "order by (place, workspace_id, id)",
            {
                "deduplicate_merge_projection_mode": "'rebuild'",
                "non_replicated_deduplication_window": REMEMBERED,
                "replicated_deduplication_window": REMEMBERED,
            },
            cluster,
        ),
        *_table(
            "events_written",
            ["at Int64"],
            "ReplacingMergeTree",
            "at",
            "order by tuple()",
            {},
            cluster,
        ),
    )


def _erased(cluster: str | None) -> Sequence[str]:
    """What is left of removed people's events: hashes of their ids and answers."""
    return _table(
        "events_erased", ["mark FixedString(32)"], "ReplacingMergeTree", "", "order by mark", {},
        cluster,
    )  # fmt: skip


def _synced(cluster: str | None) -> Sequence[str]:
    """An insert is answered when it is on disk, not when the system has promised to write it there.

    What merges make is not waited for: the parts they were made of stay for minutes.
    """
    local, on = ("", "") if cluster is None else ("_local", f" on cluster {_quoted(cluster)}")
    return tuple(
        f"alter table {name}{local}{on} modify setting fsync_after_insert = 1, fsync_part_directory = 1"
        for name in ("events", "events_written", "events_erased")
    )


def version_table(cluster: str | None) -> Sequence[str]:
    """What says which steps were done."""
    return _table(
        "events_version", ["version UInt32"], "ReplacingMergeTree", "", "order by version", {},
        cluster,
    )  # fmt: skip


def _table(
    name: str,
    columns: Sequence[str],
    engine: str,
    arguments: str,
    order: str,
    settings: Mapping[str, object],
    cluster: str | None,
) -> Sequence[str]:
    """A table; on a cluster, replicated ones and the one that stands for them all.

    An event is always on the same shard: there its rows meet.
    """
    listed = ", ".join(columns)
    after = ", ".join(f"{key} = {value}" for key, value in settings.items())
    after = f"{order} settings {after}" if after else order
    if cluster is None:
        return (
            f"create table if not exists {name} ({listed}) engine = {engine}({arguments}) {after}",
        )
    on = f"on cluster {_quoted(cluster)}"
    path = f"'/clickhouse/tables/{{shard}}/{{database}}/{name}_local', '{{replica}}'"
    replicated = f"Replicated{engine}({', '.join(filter(None, (path, arguments)))})"
    key = "cityHash64(workspace_id, id)" if name == "events" else "0"
    shards = f"{_quoted(cluster)}, currentDatabase(), {name}_local, {key}"
    return (
        f"create table if not exists {name}_local {on} ({listed}) engine = {replicated} {after}",
        f"create table if not exists {name} {on} as {name}_local engine = Distributed({shards})",
    )


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
