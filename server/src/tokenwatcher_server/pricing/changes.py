"""Changes of prices, each with its entry in the audit log."""

from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.pricing import custom
from tokenwatcher_server.pricing.custom import CustomPrice
from tokenwatcher_server.pricing.reprice import Repriced


async def set_price(connection: AsyncConnection, actor: Actor, price: CustomPrice) -> None:
    await custom.set_price(connection, price)
    await record(connection, actor, _entry("set", price, after=price), price.created_at)


async def remove_price(
    connection: AsyncConnection, actor: Actor, price_id: str, now_us: int
) -> CustomPrice:
    """Raises AppError where there is none to remove."""
    removed = await custom.remove_price(connection, price_id, now_us)
    await record(connection, actor, _entry("remove", removed, before=removed), now_us)
    return removed


async def note_repriced(
    connection: AsyncConnection, actor: Actor, done: Repriced, now_us: int
) -> None:
    """Write down that stored calls were priced again, and what that came to."""
    entry = Entry(action="price.apply", object_kind="price", object_name="stored calls", after=done)
    await record(connection, actor, entry, now_us)


def _entry(verb: str, price: CustomPrice, *, before: object = None, after: object = None) -> Entry:
    return Entry(
        action=f"price.{verb}",
        object_kind="price",
        object_name=f"{price.provider} {price.model_pattern}",
        object_id=price.id,
        before=before,
        after=after,
    )
