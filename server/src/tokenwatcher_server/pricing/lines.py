"""Rate lines on disk: every one that ever priced an event, found again by its id."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.tables import rate_lines
from tokenwatcher_server.pricing.rates import RateLine


async def saved_ids(connection: AsyncConnection) -> set[str]:
    return set((await connection.execute(select(rate_lines.c.id))).scalars())


async def save(connection: AsyncConnection, lines: Sequence[RateLine], now_us: int) -> None:
    """Add the lines that are not there yet; a line already there is the same line."""
    wanted = {line.id: line for line in lines}
    present = await connection.execute(select(rate_lines.c.id).where(rate_lines.c.id.in_(wanted)))
    missing = wanted.keys() - set(present.scalars())
    if missing:
        rows = [
            {"id": i, "content": msgspec.json.encode(wanted[i]).decode(), "created_at": now_us}
            for i in sorted(missing)
        ]
        await connection.execute(insert(rate_lines), rows)


async def find(connection: AsyncConnection, line_id: str) -> RateLine | None:
    content = await connection.scalar(
        select(rate_lines.c.content).where(rate_lines.c.id == line_id)
    )
    return None if content is None else msgspec.json.decode(content, type=RateLine)
