"""One way to make an event, and a price book of the list that comes with the server."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import to_us
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.catalog import Catalog

NOON = to_us(datetime(2026, 11, 23, 12, tzinfo=UTC))
MakeEvent = Callable[..., Event]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def book(catalog: Catalog) -> PriceBook:
    return PriceBook(catalog)


@pytest.fixture(scope="session")
def make_event() -> MakeEvent:
    def make(provider: str = "openai", model: str = "gpt-4o", **fields: object) -> Event:
        values: dict[str, object] = {
            "id": "event-0001",
            "content_digest": bytes(16),
            "workspace_id": WorkspaceId("workspace"),
            "project_id": ProjectId("project"),
            "occurred_at": NOON,
            "received_at": NOON,
            "event_type": "usage",
            "status": "success",
            "tokens": Tokens(input_text=1000, output_text=100),
            "usage_quality": "final",
        }
        return Event(provider=provider, model=model, **(values | fields))  # type: ignore[arg-type]

    return make
