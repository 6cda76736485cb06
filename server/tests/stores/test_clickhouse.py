"""What ClickHouse needs beside what every store promises."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tokenwatcher_server.events.event import Cost
from tokenwatcher_server.events.store import (
    EventStore,
    QuestionTooLong,
    StoreRefused,
    StoreUnavailable,
)
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clickhouse_url import Address, parse_url
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.clickhouse.connection import Connection, address_of
from tokenwatcher_server.stores.clickhouse.keys import SELECT
from tokenwatcher_server.stores.clickhouse.rows import first_rows
from tokenwatcher_server.stores.clickhouse.schema import SENT_TYPES

HARD = "nul \0, tab \t, line \n, quote ', back \\, {p1:String}, ünïcode 🎉, %s"


async def opened_at(url: str) -> EventStore:
    return await open_store(url, Path("unused"), SystemClock())


async def made(url: str) -> None:
    """Make the tables."""
    await (await opened_at(url)).close()


@pytest.fixture
def url(clickhouse: Any) -> str:
    return str(clickhouse.new_database())


def test_any_text_comes_back_and_is_found(url: str, cast: Any) -> None:
    event = cast.event(
        id=HARD, model=HARD, user_id=HARD, response_id=HARD, tags={HARD: HARD, "a": ""},
        metadata={HARD: HARD}, prompt=HARD, error_message=HARD,
    )  # fmt: skip

    async def work() -> None:
        store = await opened_at(url)
        try:
            await store.append([[event, cast.event()]])
            found = await store.event(cast.scope, HARD)
            assert found is not None
            assert found.priced == event
            filters = (cast.only("model", HARD), cast.only(f"tag:{HARD}", HARD))
            [listed] = await store.events(cast.list(filters=filters))
            assert listed.priced == event
            [rows] = await store.usage(
                [cast.query("calls", filters=filters, group_by=cast.by("user", f"tag:{HARD}"))]
            )
            assert [(row.group, row.values) for row in rows] == [((HARD, HARD), (1,))]
            assert await store.tag_keys(cast.scope) == ["a", HARD]
        finally:
            await store.close()

    asyncio.run(work())


def test_the_largest_amounts_are_exact(url: str, cast: Any) -> None:
    most = 2**62
    cost = Cost(total=most, buckets=Tokens(input_text=most), fees=most, cache_savings=most)
    event = cast.event(
        cost=cost, input_text=most // 4, reported_cost=most, stated_cost=most, latency_ms=2**53
    )

    async def work() -> None:
        store = await opened_at(url)
        try:
            await store.append([[event]])
            [found] = await store.events(cast.list())
            assert found.priced == event
        finally:
            await store.close()

    asyncio.run(work())


def test_an_insert_that_is_sent_twice_is_stored_once(url: str, cast: Any) -> None:
    asyncio.run(made(url))
    rows = first_rows([cast.event() for _ in range(10)], 1)
    connection = Connection(address_of(url), 10)
    try:
        for token in ("one", "one", "two"):
            connection.insert("events", rows, SENT_TYPES, token)
        assert connection.rows("select count() from events") == [(20,)]
        assert connection.rows("select count() from events final") == [(10,)]
    finally:
        connection.close()


def test_a_large_batch_is_one_part(url: str, cast: Any) -> None:
    """So it is there whole, or not at all."""
    batch = [cast.event(occurred_at=cast.noon + n * 40_000_000_000) for n in range(6_000)]

    async def work() -> None:
        store = await opened_at(url)
        try:
            await store.append([batch])
            connection = Connection(address_of(url), 10)
            [parts] = connection.rows("select count(), uniqExact(_part) from events")
            connection.close()
            assert parts == (6_000, 1)
        finally:
            await store.close()

    asyncio.run(work())


def test_a_batch_is_written_to_the_disk_before_it_is_acknowledged(
    url: str, cast: Any, clickhouse: Any
) -> None:
    """Not only handed to the system, which forgets it where the power fails."""

    def synced() -> Any:
        [(files, folders)] = clickhouse.sql(
            "select sumIf(value, event = 'FileSync'), sumIf(value, event = 'DirectorySync')"
            " from system.events"
        )
        return files, folders

    async def work() -> None:
        store = await opened_at(url)
        try:
            before = synced()
            await store.append([[cast.event()]])
            after = synced()
        finally:
            await store.close()
        assert after[0] > before[0]
        assert after[1] > before[1]

    asyncio.run(work())


def test_questions_of_one_call_see_the_same_events(url: str, cast: Any) -> None:
    async def work() -> None:
        store, other = await opened_at(url), await opened_at(url)

        async def append() -> None:
            for _ in range(30):
                await other.append([[cast.event()]])

        try:
            appending = asyncio.create_task(append())
            while not appending.done():
                answers = await store.usage([cast.query("calls")] * 6)
                assert len({row.values for [row] in answers}) == 1
            await appending
        finally:
            await store.close()
            await other.close()

    asyncio.run(work())


def test_ids_and_answers_are_looked_up_where_they_are_in_order(url: str) -> None:
    """And so in a few places of a table, however large it is."""
    asyncio.run(made(url))
    connection = Connection(address_of(url), 10)
    try:
        connection.execute(
            "insert into events (place, id, answer) select number, hex(MD5(toString(number))),"
            " reinterpretAsUInt128(MD5(toString(number))) from numbers(100000)"
        )
        [(event_id, answer)] = connection.rows("select id, answer from events limit 1")
        for order, where in (
            ("by_id", f"id in (select '{event_id}')"),
            ("by_answer", f"answer in (select toUInt128('{answer}'))"),
        ):
            plan = connection.rows(f"explain {SELECT} where {where}")
            assert any(f"ReadFromMergeTree ({order})" in line for (line,) in plan), plan
    finally:
        connection.close()


def test_many_rows_keep_their_order(url: str, cast: Any) -> None:
    batch = [cast.event(user_id=f"user {n:05}") for n in range(5_000)]

    async def work() -> None:
        store = await opened_at(url)
        try:
            await store.append([batch])
            [rows] = await store.usage([cast.query("calls", group_by=cast.by("user"))])
            assert [row.group[0] for row in rows] == [each.event.user_id for each in batch]
        finally:
            await store.close()

    asyncio.run(work())


def test_a_question_that_takes_too_long_is_ended(url: str) -> None:
    connection = Connection(address_of(url), 1)
    try:
        with pytest.raises(QuestionTooLong):
            connection.rows("select sum(a.number * b.number) from numbers(1e9) a, numbers(1e9) b")
        assert connection.rows("select 1") == [(1,)]
    finally:
        connection.close()


def test_an_insert_that_takes_too_long_is_not_known_to_be_stored(url: str, cast: Any) -> None:
    asyncio.run(made(url))
    connection = Connection(address_of(url), 0.001)
    rows = first_rows([cast.event() for _ in range(20_000)], 1)
    try:
        with pytest.raises(StoreUnavailable, match="too long"):
            connection.insert("events", rows, SENT_TYPES, "token")
    finally:
        connection.close()


def test_what_the_server_refuses_is_for_the_log(url: str) -> None:
    connection = Connection(address_of(url), 10)
    try:
        with pytest.raises(StoreUnavailable, match="nothing_like_it"):
            connection.rows("select 1 from nothing_like_it")
    finally:
        connection.close()


def test_tables_of_a_newer_version_are_refused(url: str, clickhouse: Any) -> None:
    async def open_twice() -> None:
        await (await opened_at(url)).close()
        clickhouse.sql("insert into events_version values (99)", address_of(url).database)
        with pytest.raises(StoreRefused, match="newer TokenWatcher"):
            await opened_at(url)

    asyncio.run(open_twice())


def test_a_url_says_where_and_who() -> None:
    assert parse_url("clickhouse://ann:p%40ss@ch.example/tokens?secure=true&cluster=all") == Address(
        host="ch.example", port=8443, user="ann", password="p@ss", database="tokens",
        secure=True, cluster="all",
    )  # fmt: skip
    assert parse_url("clickhouse://h/d") == Address(
        host="h", port=8123, user="default", password="", database="d", secure=False, cluster=None
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("clickhouse://", "no host"),
        ("clickhouse://u:hunter2@/d", "no host"),
        ("clickhouse://u:hunter2@h", "no database"),
        ("clickhouse://u:hunter2@h/a/b", "no database"),
        ("clickhouse://u:hunter2@h:port/d", "port"),
        ("clickhouse://u:hunter2@h/d?secure=maybe", "secure"),
        ("clickhouse://u:hunter2@h/d?tls=1", "'tls'"),
    ],
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        parse_url(url)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(address_of("clickhouse://u:hunter2@h/d"))
