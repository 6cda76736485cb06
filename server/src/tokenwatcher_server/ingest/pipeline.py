"""Everything that happens to events between the request's body and its acknowledgement."""

import asyncio
from collections.abc import Callable, Sequence, Set
from functools import partial
from typing import Protocol

import msgspec

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.store import Conflict
from tokenwatcher_server.ingest.commit import Committer
from tokenwatcher_server.ingest.decode import Decoded, decode_batch, decode_event
from tokenwatcher_server.ingest.idempotency import HEADER, with_ids
from tokenwatcher_server.ingest.receipt import (
    BatchReceipt,
    EventReceipt,
    batch_receipt,
    event_receipt,
)
from tokenwatcher_server.ingest.scope import Policy, Projects, Writer, choose_projects, scope
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.observability.metrics import Metrics

LARGE_BODY_BYTES = 500_000
"""Larger than any batch of the SDK; decoding such a body takes a while."""


class Prices(Protocol):
    def price_batch(self, events: Sequence[Event]) -> list[Cost]:
        """The cost of each event, in order."""
        ...

    async def keep_new_lines(self) -> None:
        """Keep the rate lines used for the first time, so that every cost stays explainable."""
        ...


class Ingest(msgspec.Struct, frozen=True):
    """The parts that ingest is made of, and its limits."""

    clock: Clock
    projects: Projects
    prices: Prices
    committer: Committer
    metrics: Metrics
    policy: Policy
    most_events: int
    touched: Callable[[WorkspaceId], None]
    """Hears of every workspace that something was stored for."""


async def accept_event(
    parts: Ingest, writer: Writer, body: bytes, key: bytes | None = None
) -> EventReceipt:
    """Take one event; it is on disk when this returns. `key` names it where it has no id.

    Raises AppError.
    """
    now_us = parts.clock.now_us()
    decoded = await _decoded(decode_event, body, now_us)
    batch, duplicates = await _store(parts, writer, decoded, key, now_us, single=True)
    return event_receipt(batch[0], duplicate=bool(duplicates))


async def accept_batch(
    parts: Ingest, writer: Writer, body: bytes, key: bytes | None = None
) -> BatchReceipt:
    """Take a batch, whole or not at all, in the same way."""
    now_us = parts.clock.now_us()
    decoded = await _decoded(partial(decode_batch, most_events=parts.most_events), body, now_us)
    batch, duplicates = await _store(parts, writer, decoded, key, now_us, single=False)
    return batch_receipt(batch, duplicates)


async def _decoded(decode: Callable[[bytes, int], Decoded], body: bytes, now_us: int) -> Decoded:
    if len(body) <= LARGE_BODY_BYTES:
        return decode(body, now_us)
    return await asyncio.to_thread(decode, body, now_us)  # others are not to wait for so long


async def _store(
    parts: Ingest,
    writer: Writer,
    decoded: Decoded,
    key: bytes | None,
    now_us: int,
    *,
    single: bool,
) -> tuple[list[PricedEvent], int]:
    """Scope, price, commit; gives the batch and how many of it were stored before."""
    nameless: frozenset[int] = frozenset()
    if key is not None:
        nameless = frozenset(n for n, event in enumerate(decoded.events) if not event.id)
        decoded = msgspec.structs.replace(decoded, events=with_ids(decoded.events, key))
    project_ids = await choose_projects(decoded.events, writer, parts.projects, single=single)
    events = scope(decoded, project_ids, writer.workspace_id, parts.policy, now_us)
    costs = parts.prices.price_batch(events)
    await parts.prices.keep_new_lines()
    batch = [PricedEvent(event, cost) for event, cost in zip(events, costs, strict=True)]
    outcome = await parts.committer.commit(batch)
    if isinstance(outcome, Conflict):
        raise _conflict(outcome, nameless, single=single)
    parts.touched(writer.workspace_id)
    _count(parts.metrics, batch, len(outcome.duplicates), decoded.unknown_fields)
    return batch, len(outcome.duplicates)


def _conflict(conflict: Conflict, nameless: Set[int], *, single: bool) -> AppError:
    """`nameless` are the positions whose id was made of the request's key."""
    issues = []
    for position in conflict.positions:
        if position in nameless:
            issues.append(Issue(HEADER, "was already used for other events"))
        else:
            path = "id" if single else f"events[{position}].id"
            issues.append(Issue(path, "was already used for an event with other content"))
    return AppError(
        Kind.CONFLICT,
        "EVENT_ID_CONFLICT",
        "An event id was already used with different content; nothing was stored.",
        issues=list(dict.fromkeys(issues)),
    )


def _count(
    metrics: Metrics, batch: Sequence[PricedEvent], duplicates: int, unknown_fields: int
) -> None:
    metrics.stored_events.inc(len(batch) - duplicates)
    if duplicates:
        metrics.duplicate_events.inc(duplicates)
    if unknown_fields:
        metrics.unknown_fields.inc(unknown_fields)
    unpriced = sum(
        priced.cost.total is None and priced.event.event_type == "usage" for priced in batch
    )
    if unpriced:
        metrics.unpriced.inc(unpriced)
