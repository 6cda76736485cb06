"""What the sender is told of its stored events."""

from collections.abc import Sequence

import msgspec

from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.events.tokens import INPUT_BUCKETS
from tokenwatcher_server.kernel.money import usd_number, usd_text


class CostReceipt(msgspec.Struct, frozen=True, rename="camel"):
    """Numbers for a person, exact text beside them; all null where no price is known."""

    input_cost_usd: float | None = None
    output_cost_usd: float | None = None
    total_cost_usd: float | None = None
    total_cost: str | None = None
    priced: bool = False
    price_id: str | None = None


_INPUTS = len(INPUT_BUCKETS)
_UNPRICED = CostReceipt()


class EventReceipt(msgspec.Struct, frozen=True, rename="camel"):
    success: bool
    event_id: str
    cost: CostReceipt
    duplicate: bool


class BatchReceipt(msgspec.Struct, frozen=True, rename="camel"):
    """`accepted` and `duplicates` add up to `count`; the ids are in the order sent."""

    success: bool
    count: int
    accepted: int
    duplicates: int
    event_ids: list[str]


def event_receipt(priced: PricedEvent, *, duplicate: bool) -> EventReceipt:
    return EventReceipt(
        success=True,
        event_id=priced.event.id,
        cost=cost_receipt(priced.cost),
        duplicate=duplicate,
    )


def batch_receipt(batch: Sequence[PricedEvent], duplicates: int) -> BatchReceipt:
    ids = [priced.event.id for priced in batch]
    return BatchReceipt(
        success=True,
        count=len(ids),
        accepted=len(ids) - duplicates,
        duplicates=duplicates,
        event_ids=ids,
    )


def cost_receipt(cost: Cost) -> CostReceipt:
    if cost.total is None:
        return _UNPRICED
    amounts = msgspec.structs.astuple(cost.buckets)
    return CostReceipt(
        input_cost_usd=usd_number(sum(filter(None, amounts[:_INPUTS]))),
        output_cost_usd=usd_number(sum(filter(None, amounts[_INPUTS:]))),
        total_cost_usd=usd_number(cost.total),
        total_cost=usd_text(cost.total),
        priced=True,
        price_id=cost.price_id,
    )
