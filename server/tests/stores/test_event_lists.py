"""Pages of the event list, which look at the newest hours before all of time."""

from typing import Any

import pytest

from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import HOUR_US


@pytest.mark.parametrize("limit", [1, 3, 7])
@pytest.mark.parametrize("model", [None, "rare"])
def test_a_page_is_whole_however_far_apart_its_events_are(
    opened: Any, cast: Any, limit: int, model: str | None
) -> None:
    distances = [0, 1, HOUR_US - 1, HOUR_US, 2 * HOUR_US, 50 * HOUR_US, 51 * HOUR_US, 900 * HOUR_US]
    events = [
        cast.event(occurred_at=cast.noon - distance, model=kind)
        for distance in distances
        for kind in (["gpt-4o", "rare"] if distance > HOUR_US else ["gpt-4o"])
    ]
    strangers = [cast.event(workspace_id=cast.bob, occurred_at=cast.noon + HOUR_US)]
    wanted = (cast.only("model", model),) if model else ()
    expected = sorted(
        (
            (each.event.occurred_at, each.event.id)
            for each in events
            if model in {None, each.event.model}
        ),
        reverse=True,
    )

    async def work(store: EventStore) -> Any:
        seen: list[tuple[int, str]] = []
        while page := await store.events(
            cast.list(limit=limit, filters=wanted, before=seen[-1] if seen else None)
        ):
            assert len(page) == min(limit, len(expected) - len(seen))
            seen += [(found.priced.event.occurred_at, found.priced.event.id) for found in page]
        return seen

    assert opened.after([events, strangers], work) == expected
