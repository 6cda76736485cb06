"""What happens to a group of batches: admitted, and stored by one statement.

The usual case, in which all is new, takes one round trip and no look-up: the keys of the tables
refuse what is not new, and only then the server is asked what it holds.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
import msgspec

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Outcome, StoreUnavailable
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.stores.admission import Admission, Candidates
from tokenwatcher_server.stores.identity import fingerprint
from tokenwatcher_server.stores.postgres import hours
from tokenwatcher_server.stores.postgres.connections import (
    Connection,
    Connections,
    is_lost,
    is_passing,
    reason,
)
from tokenwatcher_server.stores.postgres.erasing import ANSWER_MARK, ID_MARK
from tokenwatcher_server.stores.postgres.partitions import Month, make_month, months_of
from tokenwatcher_server.stores.postgres.rows import TYPES, event_values, joined, listed

PARTS: Final = 8
"""As many as there are rows of `event_counts`."""
PATIENCE_SECONDS: Final = 5.0
"""How long a lost connection is tried again before the senders are told to come back later."""
PAUSE_SECONDS: Final = 0.1
OF_TEXTS: Final = "string_to_array(${place}::text, E'\\x1f', E'\\x1e')"
OF_LISTS: Final = "${place}::text[]"
"""How a column that was sent becomes a list: from one text (see `rows.joined`), or as it is."""
CHECKED_EVENTS: Final = 200_000
"""After so many events, tags with too many values lose their sums."""

Name = tuple[str, str]
"""A workspace, and an event's id in it."""


class Admitted(msgspec.Struct, frozen=True):
    """What becomes of each batch, and the events that are to be stored."""

    outcomes: list[Outcome]
    positions: list[int]


class Writer:
    """Stores events. One call at a time."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._months: set[Month] = set()
        self._tag_keys: set[str] = set()
        self._free_slots = True
        part = secrets.randbelow(PARTS)
        self._of_texts = insert_statement(part, OF_TEXTS)
        self._of_lists = insert_statement(part, OF_LISTS)
        self._since_check = 0
        self._one = asyncio.Lock()

    async def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        """See `EventStore.append`.

        1. Sort out what is twice in these batches.
        2. Make room for new months and tag keys.
        3. Store what is left by one statement, which is one transaction.
        4. Where a key refuses it, ask which events are there, sort again, and store the rest.

        A connection that is lost leaves open whether the statement was carried out. It is then
        repeated: what turns out to be there already was stored by the first attempt.
        """
        events = [priced for batch in batches for priced in batch]
        candidates = _candidates(events)
        sizes = [len(batch) for batch in batches]
        admitted = _admit(sizes, candidates, {}, [])
        sent: Admitted | None = None
        async with self._one:
            await self._check_tags()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while admitted.positions:
                try:
                    async with self._connections.writer() as connection:
                        doubtful, sent = sent, admitted
                        if await self._insert(connection, events, candidates, admitted):
                            break
                        stored = await _stored(connection, candidates)
                        if doubtful is not None and _all_in(stored, candidates, doubtful):
                            return doubtful.outcomes
                        sent = None
                        answered = await _answered(connection, candidates)
                        erased = await _erased(connection, candidates)
                        admitted = _admit(sizes, candidates, stored, answered, erased)
                except Exception as error:
                    if not is_passing(error):
                        raise
                    if not is_lost(error) or time.monotonic() > deadline:
                        raise StoreUnavailable(reason(error)) from error
                    await asyncio.sleep(PAUSE_SECONDS)
                if admitted.positions and time.monotonic() > deadline:
                    raise StoreUnavailable("PostgreSQL: others keep storing the same events")
        return admitted.outcomes

    async def _insert(
        self,
        connection: Connection,
        events: Sequence[PricedEvent],
        candidates: Candidates[Name],
        admitted: Admitted,
    ) -> bool:
        """Store what was admitted; False where some of it is there already, and nothing was."""
        fresh = [events[position] for position in admitted.positions]
        said = candidates.at(admitted.positions)
        await self._make_room(connection, fresh)
        try:
            columns = [*event_values(fresh), *map(_hex, (said.digests, said.answers))]
            texts = joined(columns)
            if texts is None:
                await connection.execute(self._of_lists, *listed(columns))
            else:
                await connection.execute(self._of_texts, *texts)
        except asyncpg.UniqueViolationError:
            return False
        self._since_check += len(fresh)
        return True

    async def _check_tags(self) -> None:
        if self._since_check > CHECKED_EVENTS:
            self._since_check = 0
            async with self._connections.long_writer() as connection:
                await hours.drop_large(connection)

    async def _make_room(self, connection: Connection, events: Sequence[PricedEvent]) -> None:
        for month in months_of(each.event.occurred_at for each in events) - self._months:
            await make_month(connection, month)
            self._months.add(month)
        if not self._free_slots:
            return
        keys = {key for each in events for key in each.event.tags} - self._tag_keys
        if keys:
            self._free_slots = await hours.give_slots(connection, sorted(keys)) > 0
            self._tag_keys |= keys


def insert_statement(part: int, texts: str) -> str:
    """Store events with their ids, answers and sums; fails as a whole where a key is there already.

    Takes a column for each of `rows.TYPES`, and the hexadecimal digits of the digests and
    fingerprints. `texts` says how the one at a `{place}` becomes a list of texts.
    """
    types = {**TYPES, "digest": "text", "fingerprint": "text"}
    lists = ", ".join(
        f"({texts.format(place=place)})::{kind}[]" for place, kind in enumerate(types.values(), 1)
    )
    names = ", ".join(TYPES)
    values = ", ".join("tags::jsonb as tags" if name == "tags" else name for name in TYPES)
    return (
        f"with sent as (select * from unnest({lists}) with ordinality"
        f" as sent ({', '.join(types)}, place)),"
        f" given as (select {names}, place, digest, fingerprint, {_whole(INPUT_BUCKETS)} as input_tokens,"
        f" {_whole(OUTPUT_BUCKETS)} as output_tokens from"
        f" (select {values}, place, decode(digest, 'hex') as digest,"
        " decode(fingerprint, 'hex') as fingerprint from sent) as typed),"
        " ids as (insert into event_ids (workspace_id, id, digest, occurred_at)"
        " select workspace_id, id, digest, occurred_at from given order by workspace_id, id),"
        " answers as (insert into event_answers (fingerprint, occurred_at)"
        " select fingerprint, occurred_at from given where fingerprint is not null"
        " order by fingerprint),"
        # what was erased is known by its mark, and refused by the key like all that is not new
        f" erased as (insert into event_erased (mark) select mark from given, lateral"
        f" (values ({ID_MARK}), ({ANSWER_MARK})) as known (mark) join event_erased using (mark)),"
        f" hourly as ({hours.add_hours('given', f'{part}::smallint')}),"
        " counted as (update event_counts set commits = commits + 1,"
        f" events = events + (select count(*) from given) where part = {part}),"
        f" tagged as ({hours.add_tag_hours('given', f'{part}::smallint')})"
        f" insert into events (sequence, place, input_tokens, output_tokens, {names})"
        " select (select nextval('event_commits')), place, input_tokens, output_tokens,"
        f" {names} from given"
    )


def _hex(values: Sequence[bytes | None]) -> list[str | None]:
    return [None if value is None else value.hex() for value in values]


def _whole(buckets: Sequence[str]) -> str:
    return " + ".join(f"coalesce({name}, 0)" for name in buckets)


def _candidates(events: Sequence[PricedEvent]) -> Candidates[Name]:
    return Candidates(
        [(priced.event.workspace_id, priced.event.id) for priced in events],
        [priced.event.content_digest for priced in events],
        [fingerprint(priced.event.workspace_id, priced.event) for priced in events],
    )


def _admit(
    sizes: Sequence[int],
    candidates: Candidates[Name],
    stored: dict[Name, bytes],
    answered: Sequence[bytes],
    erased: Sequence[Name] = (),
) -> Admitted:
    admission = Admission(stored, answered, erased)
    outcomes: list[Outcome] = []
    positions: list[int] = []
    start = 0
    for size in sizes:
        outcome, fresh = admission.admit(candidates.between(start, start + size))
        outcomes.append(outcome)
        positions += [start + position for position in fresh]
        start += size
    return Admitted(outcomes, positions)


def _all_in(stored: Mapping[Name, bytes], candidates: Candidates[Name], admitted: Admitted) -> bool:
    said = candidates.at(admitted.positions)
    return all(
        stored.get(key) == digest for key, digest in zip(said.keys, said.digests, strict=True)
    )


async def _stored(connection: Connection, candidates: Candidates[Name]) -> dict[Name, bytes]:
    workspaces, ids = zip(*candidates.keys, strict=True)
    rows = await connection.fetch(
        "select workspace_id, id, digest from event_ids"
        " join unnest($1::text[], $2::text[]) as sent (workspace_id, id) using (workspace_id, id)",
        workspaces, ids,
    )  # fmt: skip
    return {(row["workspace_id"], row["id"]): row["digest"] for row in rows}


async def _answered(connection: Connection, candidates: Candidates[Name]) -> list[bytes]:
    rows = await connection.fetch(
        "select fingerprint from event_answers where fingerprint = any($1::bytea[])"
        " union all select fingerprint from unnest($1::bytea[]) as sent (fingerprint)"
        f" join event_erased on mark = {ANSWER_MARK}",
        [answer for answer in candidates.answers if answer is not None],
    )
    return [row["fingerprint"] for row in rows]


async def _erased(connection: Connection, candidates: Candidates[Name]) -> list[Name]:
    workspaces, ids = zip(*candidates.keys, strict=True)
    rows = await connection.fetch(
        "select workspace_id, id from unnest($1::text[], $2::text[]) as sent (workspace_id, id)"
        f" join event_erased on mark = {ID_MARK}",
        workspaces, ids,
    )  # fmt: skip
    return [(row["workspace_id"], row["id"]) for row in rows]
