"""Takes events out for good, some thousand at a time, with their ids, answers, prices and sums.

A removed event's id and answer stay as hashes in `event_erased`, where it was a person's. What
PostgreSQL keeps of deleted rows until a vacuum has passed, and in its log, is its own.
"""

from collections.abc import Sequence
from typing import Any, Final

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.tokens import BUCKETS
from tokenwatcher_server.stores.identity import LEAST_RESPONSE_ID, answer_fingerprint
from tokenwatcher_server.stores.postgres import hours, kept_durations
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.totals import HOUR_KEYS, TAG_KEYS

AT_ONCE: Final = 5_000
"""Events of one transaction: writers wait for it."""

ID_MARK: Final = "sha256(convert_to(workspace_id || E'\\x1f' || id, 'UTF8'))"
ANSWER_MARK: Final = "sha256(fingerprint)"

_PART: Final = "0::smallint"
_KEY: Final = "workspace_id, id, occurred_at"
_FOUND: Final = f"(select events.* from events join erasing using ({_KEY})) as found"
_THESE: Final = "{table}.workspace_id = erasing.workspace_id and {table}.id = erasing.id"
_ANSWERS: Final = (
    f"select workspace_id, provider, response_id, {', '.join(BUCKETS)} from {_FOUND}"
    f" where length(response_id) >= {LEAST_RESPONSE_ID}"
)
_COUNTED: Final = "update event_counts set commits = commits + 1 where part = 0"
"""So that whoever remembers how many there were asks again."""
_WITHOUT_TEXTS: Final = "prompt = null, completion = null"


async def erase(connection: Connection, erasure: Erasure) -> int:
    """See `EventStore.erase`; gives how many events it removed or changed.

    Each transaction takes some events out whole. What was ended midway goes on when it is asked
    for again, as what is done is not found any more.
    """
    act = _remove if erasure.fate == "remove" else _change
    erased, found = 0, AT_ONCE
    while found == AT_ONCE:
        async with connection.transaction():
            found = await _find(connection, erasure)
            if found:
                await connection.execute(hours.LOCK)
                erased += await _keep_found(connection)
                await act(connection, erasure)
                await connection.execute(_COUNTED)
    if erased and erasure.fate == "remove":
        await _forget_empty_sums(connection, erasure)
    return erased


async def _find(connection: Connection, erasure: Erasure) -> int:
    """Put the keys of some events into a table for this transaction, while others may write."""
    values: list[Any] = [list(erasure.workspaces)]
    if erasure.user is not None:
        values.append(erasure.user)
        which = "(user_id = $2 or end_user_id = $2)"
    else:
        values.append(erasure.before_us)
        which = "occurred_at < $2"
    if erasure.fate == "forget-prompts":
        which += " and (prompt is not null or completion is not null)"
    await connection.execute(
        'create temp table erasing (workspace_id text collate "C", id text collate "C",'
        " occurred_at bigint) on commit drop"
    )
    await connection.execute(
        f"insert into erasing select {_KEY} from events"
        f" where workspace_id = any($1::text[]) and {which} limit {AT_ONCE}",
        *values,
    )
    await connection.execute("analyze erasing")
    return int(await connection.fetchval("select count(*) from erasing"))


async def _keep_found(connection: Connection) -> int:
    """Let go of what another erasure took out before writers were kept out."""
    await connection.execute(
        f"delete from erasing where not exists (select from events where {_THESE}"
        " and events.occurred_at = erasing.occurred_at)".format(table="events")
    )
    return int(await connection.fetchval("select count(*) from erasing"))


async def _remove(connection: Connection, erasure: Erasure) -> None:
    await connection.execute(hours.add_hours(_FOUND, _PART, "-"))
    await connection.execute(hours.add_tag_hours(_FOUND, _PART, "-"))
    await kept_durations.forget_erasing(connection)
    answers = [_fingerprint(row) for row in await connection.fetch(_ANSWERS)]
    if erasure.user is not None:
        await _mark(connection, answers)
    await connection.execute(
        "delete from event_answers where fingerprint = any($1::bytea[])", answers
    )
    await connection.execute(
        "update event_counts set events = events - (select count(*) from erasing) where part = 0"
    )
    for table in ("event_repricings", "event_ids", "events"):
        instant = " and events.occurred_at = erasing.occurred_at" if table == "events" else ""
        await connection.execute(
            f"delete from {table} using erasing where {_THESE.format(table=table)}{instant}"
        )


async def _mark(connection: Connection, answers: Sequence[bytes]) -> None:
    await connection.execute(
        f"insert into event_erased (mark) select {ID_MARK} from erasing"
        f" union select {ANSWER_MARK} from unnest($1::bytea[]) as answer (fingerprint)"
        " on conflict do nothing",
        answers,
    )


async def _change(connection: Connection, erasure: Erasure) -> None:
    values, changed = [], _WITHOUT_TEXTS
    if erasure.fate == "unlink":
        values = [erasure.user]
        changed += "".join(f", {name} = nullif({name}, $1)" for name in ("user_id", "end_user_id"))
    await connection.execute(
        f"update events set {changed} from erasing where {_THESE.format(table='events')}"
        " and events.occurred_at = erasing.occurred_at",
        *values,
    )


async def _forget_empty_sums(connection: Connection, erasure: Erasure) -> None:
    """Sums of nothing would keep the names of what they were of, such as the values of tags."""
    for table, keys in (("hours", HOUR_KEYS), ("tag_hours", TAG_KEYS)):
        names = ", ".join(keys)
        async with connection.transaction():
            await connection.execute(hours.LOCK)
            await connection.execute(
                f"delete from {table} where ({names}) in (select {names} from {table}"
                f" where workspace_id = any($1::text[]) group by {names} having sum(calls) = 0)",
                list(erasure.workspaces),
            )


def _fingerprint(row: Sequence[Any]) -> bytes:
    workspace, provider, response_id, *tokens = row
    return answer_fingerprint(workspace, provider, response_id, tuple(tokens))
