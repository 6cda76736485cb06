"""Sums made anew are those that were written with the events, whatever happened to these."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.tests.postgres_server import Postgres
from server.tests.stores.conftest import Cast, Opened
from tokenwatcher_server.events.store import EventStore, Repricing
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.kernel.period import Period

tags = st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["a", "b"]))
events = st.tuples(
    st.integers(0, 3 * HOUR_US), st.sampled_from(["gpt-4o", "o3"]), st.booleans(),
    st.sampled_from([Cast.alice, Cast.bob]), tags, st.booleans(),
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(events, min_size=1, max_size=5), max_size=5), st.data())
def test_rebuilt_sums_equal_those_that_were_kept(
    cast: Cast, postgres: Postgres, tmp_path: Any, batches: Any, data: st.DataObject
) -> None:
    made = [
        [
            cast.event(
                occurred_at=cast.noon + at, model=model, workspace_id=workspace, tags=said,
                cost=cast.cost(1, 2) if priced else cast.unpriced(),
                status="error" if failed else "success",
            )
            for at, model, priced, workspace, said, failed in batch
        ]
        for batch in batches
    ]  # fmt: skip
    everything = [event for batch in made for event in batch]
    repriced = data.draw(st.lists(st.sampled_from(everything), max_size=3)) if everything else []
    period = Period(cast.noon, cast.noon + data.draw(st.integers(1, 4 * HOUR_US)))
    questions = [
        cast.query("calls", "cost", "unpriced", "errors", "input_tokens", group_by=cast.by(*by))
        for by in ((), ("model",), ("tag:team",), ("tag:env",))
    ]

    async def work(store: EventStore) -> None:
        for batch in made:
            await store.append([batch, batch])
        for event in repriced:
            await store.reprice(
                [Repricing(event.event.workspace_id, event.event.id, cast.cost(7, 8))]
            )
        kept = await store.usage(questions)
        assert (await store.verify()).faults == ()
        assert await store.rebuild_totals(period, [cast.alice]) <= len(everything)
        assert await store.rebuild_totals(period, None) <= len(everything)
        assert await store.usage(questions) == kept
        assert (await store.verify()).faults == ()

    Opened(tmp_path, cast.noon, postgres.new_database()).run(work)


def test_sums_that_are_wrong_are_named_and_made_right(
    cast: Cast, postgres: Postgres, tmp_path: Any
) -> None:
    url = postgres.new_database()
    opened = Opened(tmp_path, cast.noon, url)
    opened.run(lambda store: store.append([[cast.event(tags={"team": "x"})]]))
    for table in ("hours", "tag_hours"):
        postgres.sql(f"update {table} set cost = cost + 1", url)
    found = opened.run(lambda store: store.verify())
    assert [fault.split(":")[0] for fault in found.faults] == ["hours", "tag_hours"]
    assert "2026-05-28T12:00" in found.faults[0]
    assert "rollups rebuild" in found.faults[0]

    ever = Period(0, 2**52)
    assert opened.run(lambda store: store.rebuild_totals(ever, None)) == 1
    assert opened.run(lambda store: store.verify()).faults == ()
