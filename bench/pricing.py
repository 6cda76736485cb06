"""How fast the price book prices, on one core."""

import itertools
import statistics
import time
from datetime import UTC, datetime

from bench.row import Row
from bench.scale import Bench
from tokenwatcher_server.demo.company import PROJECTS
from tokenwatcher_server.demo.history import Plan, history
from tokenwatcher_server.events.event import Event
from tokenwatcher_server.kernel.clock import to_us
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.pricing.book import PriceBook

ROUNDS = 5
BATCH = 100


def measure(bench: Bench) -> list[Row]:
    events = _events(bench.scale.priced)
    book = PriceBook()
    batches = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]
    book.price_batch(events)
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for batch in batches:
            book.price_batch(batch)
        rates.append(len(events) / (time.perf_counter() - began))
    return [
        Row(
            figure="pricing, one core",
            measured=statistics.median(rates),
            unit="events/s",
            better="higher",
            target=500_000,
        )
    ]


def _events(count: int) -> list[Event]:
    plan = Plan(
        events=count,
        end_us=to_us(datetime.now(UTC)),
        workspace_id=WorkspaceId("bench"),
        projects={project.slug: ProjectId(project.slug) for project in PROJECTS},
    )
    return list(itertools.chain.from_iterable(history(plan)))
