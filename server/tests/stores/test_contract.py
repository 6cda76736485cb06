"""The promises of `events/store.py`; every store keeps all of them."""

import asyncio
from typing import Any

import msgspec

from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.events.store import Conflict, EventStore, Repricing, Stored
from tokenwatcher_server.events.tokens import Tokens

HOUR = 3_600_000_000
RESPONSE = "chatcmpl-0123456789abcdef"


def changed(priced: Any, **changes: Any) -> Any:
    """The same event with some of its own fields replaced."""
    event = msgspec.structs.replace(priced.event, **changes)
    return msgspec.structs.replace(priced, event=event)


def values(rows: Any) -> Any:
    return [row.values for row in rows]


def test_what_was_appended_is_found_again_field_by_field(opened: Any, cast: Any) -> None:
    full = cast.event(
        requested_model="gpt-4o-2024", service_tier="flex", requested_service_tier="auto",
        server_tool_calls={"web_search": 2}, latency_ms=1_234, time_to_first_token_ms=56,
        streaming=True, user_id="u", end_user_id="e", session_id="s", request_id="r",
        response_id=RESPONSE, trace_id="t", span_id="sp", parent_span_id="p",
        tags={"team": "søk", "env": "prod"}, metadata={"build": "7"}, reported_cost=12,
        stated_cost=13, prompt="Hello\nthere", completion="Ünïcode 🎉", cache_read=0,
        cost=cast.cost(1, 2**62),
    )  # fmt: skip
    failed = cast.event(
        event_type="error", status="error", error_type="timeout", error_message="late",
        input_text=None, output_text=None, cost=cast.unpriced(), id="my-own_ID-42",
    )  # fmt: skip

    async def both(store: EventStore) -> Any:
        return [await store.event(cast.scope, priced.event.id) for priced in (full, failed)]

    assert [found.priced for found in opened.after([[full, failed]], both)] == [full, failed]


def test_it_is_all_still_there_after_opening_again(opened: Any, cast: Any) -> None:
    events = [cast.event(occurred_at=cast.noon + n) for n in range(3)]

    async def newest(store: EventStore) -> Any:
        return [found.priced for found in await store.events(cast.list())]

    opened.after([events], newest)
    assert opened.run(newest) == events[::-1]


def test_every_batch_gets_its_own_outcome(opened: Any, cast: Any) -> None:
    first, second = cast.event(), cast.event()

    async def work(store: EventStore) -> Any:
        outcomes = await store.append(
            [[first], [second, first], [changed(first, content_digest=b"x" * 16)]]
        )
        return outcomes, await store.usage([cast.query("calls")])

    outcomes, [rows] = opened.run(work)
    assert outcomes == [Stored(), Stored(frozenset({1})), Conflict((0,))]
    assert values(rows) == [(2,)]


def test_a_retry_is_acknowledged_and_counted_once(opened: Any, cast: Any) -> None:
    batch = [cast.event() for _ in range(5)]

    async def work(store: EventStore) -> Any:
        for _ in range(3):
            outcomes = await store.append([batch, batch])
        [rows] = await store.usage([cast.query("calls", "cost")])
        return outcomes, rows

    outcomes, rows = opened.run(work)
    assert outcomes == [Stored(frozenset(range(5)))] * 2
    assert values(rows) == [(5, 15_000)]


def test_a_duplicate_is_known_after_opening_again(opened: Any, cast: Any) -> None:
    batch = [cast.event(), cast.event(response_id=RESPONSE)]
    again = [batch[0], cast.event(response_id=RESPONSE)]
    opened.run(lambda store: store.append([batch]))
    assert opened.run(lambda store: store.append([again])) == [Stored(frozenset({0, 1}))]


def test_a_conflict_refuses_its_batch_alone(opened: Any, cast: Any) -> None:
    taken = cast.event()
    other = changed(taken, content_digest=b"other content 16")
    innocent = cast.event()

    async def work(store: EventStore) -> Any:
        await store.append([[taken]])
        outcomes = await store.append([[innocent, other], [innocent], [other]])
        [rows] = await store.usage([cast.query("calls")])
        return outcomes, values(rows)

    assert opened.run(work) == ([Conflict((1,)), Stored(), Conflict((0,))], [(2,)])


def test_a_conflict_inside_a_batch_refuses_it(opened: Any, cast: Any) -> None:
    event = cast.event()
    batch = [event, changed(event, content_digest=b"other content 16")]
    assert opened.run(lambda store: store.append([batch, [event]])) == [Conflict((1,)), Stored()]


def test_the_same_id_in_another_workspace_is_another_event(opened: Any, cast: Any) -> None:
    event = cast.event()
    other = changed(event, workspace_id=cast.bob, content_digest=b"other content 16")
    assert opened.run(lambda store: store.append([[event], [other]])) == [Stored(), Stored()]


def test_the_same_answer_counts_once(opened: Any, cast: Any) -> None:
    first = cast.event(response_id=RESPONSE)
    again = cast.event(response_id=RESPONSE, latency_ms=9)
    other_counts = cast.event(response_id=RESPONSE, output_text=21)
    other_provider = cast.event(response_id=RESPONSE, provider="azure")
    other_workspace = cast.event(response_id=RESPONSE, workspace_id=cast.bob)
    batch = [first, again, other_counts, other_provider, other_workspace]

    async def work(store: EventStore) -> Any:
        return await store.append([batch]) + await store.append([[again]])

    assert opened.run(work) == [Stored(frozenset({1})), Stored(frozenset({0}))]


def test_a_short_response_id_proves_nothing(opened: Any, cast: Any) -> None:
    batch = [cast.event(response_id="stub"), cast.event(response_id="stub")]
    assert opened.run(lambda store: store.append([batch])) == [Stored()]


def test_ids_differ_by_their_exact_text(opened: Any, cast: Any) -> None:
    ids = ["abcdefgh", "Abcdefgh", "0198c0de-1111-7222-8333-444444444444",
           "0198C0DE-1111-7222-8333-444444444444", "0198c0de111172228333444444444444"]  # fmt: skip
    batch = [cast.event(id=each) for each in ids]

    async def work(store: EventStore) -> Any:
        outcomes = await store.append([batch])
        return outcomes, [(await store.event(cast.scope, each)).priced.event.id for each in ids]  # type: ignore[union-attr]

    assert opened.run(work) == ([Stored()], ids)


def test_a_query_sees_every_event_acknowledged_before_it(opened: Any, cast: Any) -> None:
    async def work(store: EventStore) -> Any:
        seen = []
        for _ in range(10):
            await store.append([[cast.event()]])
            [[row]] = await store.usage([cast.query("calls")])
            seen.append(row.values[0])
        return seen

    assert opened.run(work) == list(range(1, 11))


def test_parallel_appends_of_one_batch_store_it_once(opened: Any, cast: Any) -> None:
    batch = [cast.event() for _ in range(20)]

    async def work(store: EventStore) -> Any:
        await asyncio.gather(*[store.append([batch]) for _ in range(20)])
        return values((await store.usage([cast.query("calls")]))[0])

    assert opened.run(work) == [(20,)]


def test_measures_add_up_and_absence_stays_absence(opened: Any, cast: Any) -> None:
    events = [
        cast.event(
            cache_read=1, cache_read_audio=2, cache_write_5m=3, cache_write_1h=4,
            cache_write_other=5, input_audio=6, output_reasoning=7, latency_ms=100,
            user_id="u", reported_cost=5, time_to_first_token_ms=10,
        ),
        cast.event(latency_ms=200, user_id="v", time_to_first_token_ms=20),
        cast.event(latency_ms=None, cost=cast.unpriced(), user_id="u"),
        cast.event(event_type="error", status="error", cost=cast.unpriced()),
    ]  # fmt: skip
    measures = (
        "cost", "input_tokens", "output_tokens", "total_tokens", "cache_read_tokens",
        "cache_write_tokens", "reasoning_tokens", "calls", "errors", "unpriced", "cache_savings",
        "reported_cost", "latency_avg", "latency_p50", "latency_p95", "time_to_first_token_p50",
        "users",
    )  # fmt: skip
    [rows] = opened.after([events], lambda store: store.usage([cast.query(*measures)]))
    assert values(rows) == [
        (6_000, 61, 87, 148, 3, 12, 7, 4, 1, 1, None, 5, 150.0, 150.0, 195.0, 15.0, 2)
    ]


def test_nothing_at_all_is_zero_calls_and_no_cost(opened: Any, cast: Any) -> None:
    queries = [
        cast.query("calls", "total_tokens", "cost", "latency_p50"),
        cast.query("calls", group_by=cast.by("model"), interval="day"),
    ]
    totals, groups = opened.run(lambda store: store.usage(queries))
    assert values(totals) == [(0, 0, None, None)]
    assert groups == []


def test_sums_pass_64_bits_exactly(opened: Any, cast: Any) -> None:
    events = [cast.event(cost=cast.cost(2**62, 2**62 - 1)) for _ in range(20)]
    [rows] = opened.after([events], lambda store: store.usage([cast.query("cost")]))
    assert values(rows) == [(20 * (2**63 - 1),)]


def test_groups_come_largest_first_and_then_by_name(opened: Any, cast: Any) -> None:
    events = [cast.event(model=model, user_id=user) for model, user in
              [("b", "u"), ("a", "u"), ("c", None), ("c", None), ("c", "u")]]  # fmt: skip
    query = cast.query("calls", group_by=cast.by("model", "user"))
    limited = cast.query(
        "calls", group_by=cast.by("model"), order_by="calls", descending=False, limit=2
    )
    rows, few = opened.after([events], lambda store: store.usage([query, limited]))
    assert [(row.group, row.values) for row in rows] == [
        (("c", None), (2,)), (("a", "u"), (1,)), (("b", "u"), (1,)), (("c", "u"), (1,)),
    ]  # fmt: skip
    assert [row.group for row in few] == [("a",), ("b",)]


def test_a_scope_hides_everything_outside_it(opened: Any, cast: Any) -> None:
    events = [cast.event(), cast.event(project_id=cast.chat), cast.event(workspace_id=cast.bob)]
    scopes = {
        Scope((cast.alice,)): 2,
        Scope((cast.alice, cast.bob)): 3,
        Scope((cast.alice,), (cast.chat,)): 1,
        Scope((cast.bob,), (cast.chat,)): 0,
        Scope((cast.alice,), ()): 0,
        Scope(()): 0,
    }

    async def work(store: EventStore) -> Any:
        for scope, expected in scopes.items():
            [[row]] = await store.usage([cast.query("calls", scope=scope)])
            assert row.values == (expected,)
            assert len(await store.events(cast.list(scope=scope))) == expected
        assert await store.event(Scope((cast.bob,)), events[0].event.id) is None
        assert await store.event(Scope((cast.alice,), (cast.chat,)), events[0].event.id) is None

    opened.after([events], work)


def test_filters_keep_their_values_and_none_is_absence(opened: Any, cast: Any) -> None:
    events = [
        cast.event(tags={"team": "a"}, user_id="u", model="m1"),
        cast.event(tags={"team": "b"}, model="m2"),
        cast.event(model="m1"),
    ]
    cases = [
        ((cast.only("tag:team", "a"),), 1),
        ((cast.only("tag:team", "a", None),), 2),
        ((cast.only("tag:team", None),), 1),
        ((cast.only("tag:unknown", None),), 3),
        ((cast.only("tag:unknown", "a"),), 0),
        ((cast.only("user", None),), 2),
        ((cast.only("model"),), 0),
        ((cast.only("model", "m1"), cast.only("user", "u")), 1),
        ((cast.only("model", "' or true --"),), 0),
    ]
    queries = [cast.query("calls", filters=filters) for filters, _ in cases]
    answers = opened.after([events], lambda store: store.usage(queries))
    assert [row.values[0] for [row] in answers] == [expected for _, expected in cases]


def test_tags_group_and_unfamiliar_keys_are_nowhere(opened: Any, cast: Any) -> None:
    events = [
        cast.event(tags={"team": "a", "x": "1"}),
        cast.event(tags={"team": "a"}),
        cast.event(),
    ]

    async def work(store: EventStore) -> Any:
        rows = await store.usage(
            [cast.query("calls", group_by=cast.by(f"tag:{key}")) for key in ("team", "x", "y")]
        )
        return [[(row.group, row.values) for row in each] for each in rows], await store.tag_keys(
            cast.scope
        )

    answers, keys = opened.after([events], work)
    assert answers == [
        [(("a",), (2,)), ((None,), (1,))],
        [((None,), (2,)), (("1",), (1,))],
        [((None,), (3,))],
    ]
    assert keys == ["team", "x"]


def test_more_tag_keys_than_anyone_needs_still_work(opened: Any, cast: Any) -> None:
    events = [cast.event(tags={f"key{n}": str(n), "all": "yes"}) for n in range(60)]

    async def work(store: EventStore) -> Any:
        [rows] = await store.usage([cast.query("calls", filters=(cast.only("tag:key59", "59"),))])
        found = await store.events(cast.list(filters=(cast.only("tag:key59", "59"),)))
        return values(rows), found[0].priced.event.tags, await store.tag_keys(cast.scope)

    calls, tags, keys = opened.after([events], work)
    assert (calls, tags) == ([(1,)], {"key59": "59", "all": "yes"})
    assert keys[0] == "all"
    assert len(keys) == 61


def test_the_newest_come_first_page_by_page(opened: Any, cast: Any) -> None:
    events = [cast.event(occurred_at=cast.noon + n // 3) for n in range(10)]
    expected = sorted(((e.event.occurred_at, e.event.id) for e in events), reverse=True)

    async def work(store: EventStore) -> Any:
        seen: list[tuple[int, str]] = []
        while page := await store.events(cast.list(limit=4, before=seen[-1] if seen else None)):
            seen += [(found.priced.event.occurred_at, found.priced.event.id) for found in page]
        return seen

    assert opened.after([events], work) == expected


def test_a_new_cost_is_seen_everywhere_and_an_unknown_event_is_not_counted(
    opened: Any, cast: Any
) -> None:
    event, other = cast.event(cost=cast.unpriced()), cast.event()
    later = cast.cost(5, 6)
    changes = [
        Repricing(cast.alice, event.event.id, later),
        Repricing(cast.alice, "no-such-event", later),
        Repricing(cast.bob, other.event.id, later),
    ]

    async def work(store: EventStore) -> Any:
        count = await store.reprice(changes)
        found = await store.event(cast.scope, event.event.id)
        assert found is not None
        [rows] = await store.usage([cast.query("cost", "unpriced")])
        return count, found.priced.cost, values(rows)

    assert opened.after([[event, other]], work) == (1, later, [(3_011, 0)])


def test_an_event_can_be_priced_again_and_made_unpriced(opened: Any, cast: Any) -> None:
    event = cast.event()

    async def work(store: EventStore) -> Any:
        for cost in (cast.cost(1, 1), cast.cost(7, 7), cast.unpriced()):
            await store.reprice([Repricing(cast.alice, event.event.id, cost)])
        [rows] = await store.usage([cast.query("cost", "unpriced")])
        return values(rows)

    assert opened.after([[event]], work) == [(None, 1)]


def test_any_character_but_nul_comes_back(opened: Any, cast: Any) -> None:
    odd = "".join(map(chr, range(1, 33))) + "\x7f\x85\u2028\ufeff\ufffd"
    batches = [
        [cast.event(user_id=text, session_id=text, tags={text: text, "x": text})]
        for text in (odd, "\x1e", "\x1f", " ", "{}", "\\N", "null", "NULL", '"', "\\x1e")
    ]
    batches.append([each for [each] in batches])

    async def work(store: EventStore) -> Any:
        await store.append(batches)
        return [found.priced for found in await store.events(cast.list())]

    by_id = {event.event.id: event for event in opened.run(work)}
    assert by_id == {event.event.id: event for [event] in batches[:-1]}


def test_an_empty_append_changes_nothing(opened: Any) -> None:
    async def work(store: EventStore) -> Any:
        outcomes = await store.append([]), await store.append([[]])
        return outcomes, (await store.statistics())["events"], await store.reprice([])

    assert opened.run(work) == (([], [Stored()]), 0, 0)


def test_statistics_say_what_is_stored(opened: Any, cast: Any) -> None:
    async def work(store: EventStore) -> Any:
        await store.usage([cast.query("calls")])
        assert await store.ready()
        return await store.statistics()

    figures = opened.after([[cast.event(), cast.event()]], work)
    assert figures["events"] == 2
    assert figures["disk_bytes"] > 0


def test_zero_tokens_are_not_unknown_tokens(opened: Any, cast: Any) -> None:
    events = [cast.event(id="zero-zero", cache_read=0), cast.event(id="none-none")]

    async def work(store: EventStore) -> Any:
        found = [await store.event(cast.scope, each.event.id) for each in events]
        return [each.priced.event.tokens for each in found if each]

    assert opened.after([events], work) == [
        Tokens(input_text=10, output_text=20, cache_read=0),
        Tokens(input_text=10, output_text=20),
    ]
