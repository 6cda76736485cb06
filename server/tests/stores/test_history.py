"""A store's history: all that was acknowledged, as it was, while it goes on taking more."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import EventStore, Repricing, StoreRefused
from tokenwatcher_server.stores import open_history
from tokenwatcher_server.stores.archive import read_events, write_events


def told(opened: Any) -> tuple[list[PricedEvent], list[Repricing]]:
    with closing(open_history(opened.url, opened.data_dir)) as history:
        events = [event for commit in history.commits() for event in commit]
        assert history.events == len(events)
        return events, [each for commit in history.repricings() for each in commit]


def full(cast: Any, **changes: Any) -> PricedEvent:
    """An event of which everything is said."""
    said: dict[str, Any] = {
        "requested_model": "gpt-4o-latest", "service_tier": "priority",
        "requested_service_tier": "auto", "server_tool_calls": {"web_search": 2},
        "latency_ms": 1_234, "time_to_first_token_ms": 0, "streaming": False,
        "user_id": "ü🙂", "end_user_id": "end", "session_id": "s", "request_id": "r",
        "response_id": "resp-0123456789abcdef", "trace_id": "t", "span_id": "sp",
        "parent_span_id": "p", "error_type": "RateLimit", "error_message": "slow\ndown",
        "tags": {"team": "search", "empty": ""}, "metadata": {"a": "b"}, "reported_cost": 0,
        "stated_cost": 7, "prompt": "asked", "completion": "answered", "cache_read": 5,
        "cost": cast.cost(3, 40),
    }  # fmt: skip
    return cast.event(**(said | changes))  # type: ignore[no-any-return]


def test_every_event_comes_back_as_it_was_stored_and_in_its_order(cast: Any, opened: Any) -> None:
    events = [
        full(cast),
        cast.event(id="named by hand", cost=cast.unpriced(), occurred_at=1),
        cast.event(workspace_id=cast.bob, response_id=None),
    ]

    async def store_them(store: EventStore) -> None:
        await store.append([events[:1], events[1:2]])
        await store.append([events[2:], events[:1]])

    opened.run(store_them)

    assert told(opened) == (events, [])


def test_it_keeps_the_first_cost_and_gives_the_later_ones_apart(cast: Any, opened: Any) -> None:
    event = cast.event(cost=cast.unpriced())
    later = [
        Repricing(cast.alice, event.event.id, cast.cost(number, 2 * number)) for number in (5, 6)
    ]

    async def reprice(store: EventStore) -> None:
        for each in later:
            await store.reprice([each])

    opened.after([[event]], reprice)

    assert told(opened) == ([event], later)


def test_what_comes_after_it_was_opened_is_not_in_it(cast: Any, opened: Any) -> None:
    first, second = cast.event(), cast.event()

    async def append_beside(store: EventStore) -> list[PricedEvent]:
        with closing(open_history(opened.url, opened.data_dir)) as history:
            await store.append([[second]])
            return [event for commit in history.commits() for event in commit]

    assert opened.after([[first]], append_beside) == [first]
    assert told(opened)[0] == [first, second]


def test_a_changed_byte_ends_it(cast: Any, embedded: Any) -> None:
    marker = "a text that is easy to find"
    embedded.after(
        [[cast.event()], [cast.event(prompt=marker)]], lambda store: store.tag_keys(cast.scope)
    )
    journal = embedded.data_dir / "journal.db"
    data = journal.read_bytes()
    assert data.count(marker.encode()) == 1
    journal.write_bytes(data.replace(marker.encode(), marker.upper().encode()))

    with pytest.raises(StoreRefused, match="commit 1 is not what was acknowledged"):
        told(embedded)


def test_a_folder_without_a_store_has_none(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="holds no events"):
        open_history(None, tmp_path)
    assert list(tmp_path.iterdir()) == []


texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
counts = st.none() | st.integers(0, 2**53 - 1)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(texts.filter(bool), counts, counts, st.dictionaries(texts.filter(bool), texts),
                  st.none() | texts, st.none() | st.booleans()),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_an_archive_gives_back_exactly_what_was_written(
    cast: Any, tmp_path_factory: pytest.TempPathFactory, said: list[tuple[Any, ...]]
) -> None:
    events = [
        full(cast, id=name, input_text=given_in, output_text=out, tags=tags, metadata=tags,
             user_id=user, streaming=streaming)
        for name, given_in, out, tags, user, streaming in said
    ]  # fmt: skip
    file = tmp_path_factory.mktemp("archive") / "events.parquet"
    write_events(file, events)

    assert [event for some in read_events(file) for event in some] == events
