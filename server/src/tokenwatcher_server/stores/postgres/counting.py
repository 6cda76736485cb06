"""Durations counted from the events, by project, provider and model."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from tokenwatcher_server.events.query import Field, UsageQuery
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.dialect import bindings, postgres_dialect
from tokenwatcher_server.stores.postgres.spans import Span
from tokenwatcher_server.stores.postgres.steps import merge, pack, step_of
from tokenwatcher_server.stores.sql import events_in

COLUMNS: Final = ("latency_ms", "time_to_first_token_ms")

Packed = Sequence[bytes]
"""The packed counts of each of COLUMNS."""

_FIELDS: Final[Mapping[Field, int]] = {"project": 0, "provider": 1, "model": 2}
_STEPS: Final = ", ".join(f"{step_of(column)} as {column}" for column in COLUMNS)
_SETS: Final = "grouping sets (({keys}latency_ms), ({keys}time_to_first_token_ms))"


class Group(msgspec.Struct, frozen=True, array_like=True):
    """What a span's calls of one project, provider and model took."""

    key: tuple[str, str, str]
    packed: tuple[bytes, ...]


class Counted(msgspec.Struct, frozen=True):
    """What a span's calls took, and how many calls it had then."""

    calls: int
    groups: tuple[Group, ...]


def has_groups_for(query: UsageQuery) -> bool:
    """Whether the groups can tell the events that a query is about."""
    fields = {wanted.dimension.field for wanted in query.filters}
    return fields <= {"workspace", *_FIELDS}


def wants_all(query: UsageQuery) -> bool:
    """Whether a query is about every group of its workspaces."""
    return query.scope.projects is None and not query.filters


def is_wanted(query: UsageQuery, workspace_id: str, group: Group) -> bool:
    """Whether a query is about a group of a workspace."""
    project_id, *_ = group.key
    return (query.scope.projects is None or project_id in query.scope.projects) and all(
        (
            workspace_id
            if wanted.dimension.field == "workspace"
            else group.key[_FIELDS[wanted.dimension.field]]  # type: ignore[index]
        )
        in wanted.values
        for wanted in query.filters
    )


def total(groups: Iterable[Group]) -> Packed:
    """What the calls of all groups took."""
    all_packed = [group.packed for group in groups]
    return [merge([packed[place] for packed in all_packed]) for place in range(len(COLUMNS))]


def together(calls: int, parts: Iterable[Counted]) -> Counted:
    """What the calls of a day took, from those of its hours."""
    groups = defaultdict(list)
    for part in parts:
        for group in part.groups:
            groups[group.key].append(group)
    return Counted(
        calls, tuple(Group(key, tuple(total(same))) for key, same in sorted(groups.items()))
    )


async def count(connection: Connection, calls: Mapping[Span, int]) -> dict[Span, Counted]:
    """Count what the calls of spans took; `calls` is how many each has."""
    if not calls:
        return {}
    spans = sorted(calls)
    keys = "project_id, provider, model"
    # each span is a walk along the index by time, so what lies between them is not read
    rows = await connection.fetch(
        f"select place, {keys}, latency_ms, time_to_first_token_ms, column_number, found"
        " from unnest($1::text[], $2::bigint[], $3::bigint[]) with ordinality"
        " as span (workspace, start, finish, place), lateral"
        f" (select {keys}, latency_ms, time_to_first_token_ms,"
        " grouping(latency_ms) as column_number, count(*) as found"
        f" from (select {keys}, {_STEPS} from events where workspace_id = workspace"
        " and occurred_at >= start and occurred_at < finish) as stepped"
        f" group by {_SETS.format(keys=f'{keys}, ')}) as counted",
        [span.workspace_id for span in spans],
        [span.start_us for span in spans],
        [span.start_us + span.length_us for span in spans],
    )
    counted: dict[int, dict[tuple[str, str, str], list[dict[int, int]]]] = defaultdict(
        lambda: defaultdict(lambda: [{} for _ in COLUMNS])
    )
    for place, project, provider, model, *steps, column, found in rows:
        if steps[column] is not None:
            counted[place - 1][project, provider, model][column][steps[column]] = found
    return {
        span: Counted(
            calls[span],
            tuple(Group(key, tuple(map(pack, found))) for key, found in counted[place].items()),
        )
        for place, span in enumerate(spans)
    }


async def count_part(connection: Connection, query: UsageQuery, part: Period) -> Packed:
    """Count what the calls of a part of a query's period took."""
    bound = bindings()
    where = events_in(query, part, postgres_dialect(), bound)
    rows = await connection.fetch(
        "select latency_ms, time_to_first_token_ms, grouping(latency_ms), count(*)"
        f" from (select {_STEPS} from events where {where}) as stepped"
        f" group by {_SETS.format(keys='')}",
        *bound.values,
    )
    counted: list[dict[int, int]] = [{} for _ in COLUMNS]
    for *steps, column, found in rows:
        if steps[column] is not None:
            counted[column][steps[column]] = found
    return [pack(each) for each in counted]
