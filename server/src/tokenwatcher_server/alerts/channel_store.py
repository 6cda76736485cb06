"""Channels in the control database: what people see of them, and what only a delivery sees."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.control.tables import alert_channels

MOST_CHANNELS = 50
"""In one workspace."""


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """A channel without its secrets: of the URL, the host alone."""

    id: str
    workspace_id: str
    kind: str
    name: str
    host: str
    enabled: bool
    created_at: int


class _Sealed(msgspec.Struct, frozen=True):
    url: str
    secrets: tuple[str, ...]
    older_until: int = 0
    """Until when secrets beside the newest are still used."""


async def add_channel(
    connection: AsyncConnection, seal: Seal, listed: Listed, channel: Channel
) -> None:
    sealed = _closed(seal, channel.id, _Sealed(channel.url, channel.secrets))
    values = msgspec.structs.asdict(listed) | {"sealed": sealed}
    await connection.execute(insert(alert_channels).values(values))


async def lead_elsewhere(connection: AsyncConnection, seal: Seal, channel: Channel) -> None:
    """Give a channel another URL; what waits to be sent goes there too."""
    sealed = _closed(seal, channel.id, _Sealed(channel.url, channel.secrets))
    await connection.execute(
        update(alert_channels)
        .where(alert_channels.c.id == channel.id)
        .values(host=host_of(channel.url), sealed=sealed)
    )


async def rotate_secret(
    connection: AsyncConnection, seal: Seal, channel_id: str, secret: str, older_until: int
) -> None:
    """Sign with a new secret from now on, and until `older_until` with the one before it too."""
    query = select(alert_channels.c.sealed).where(alert_channels.c.id == channel_id)
    content = _opened(seal, (await connection.execute(query)).scalar_one(), channel_id)
    rotated = _Sealed(content.url, (secret, *content.secrets[:1]), older_until)
    await connection.execute(
        update(alert_channels)
        .where(alert_channels.c.id == channel_id)
        .values(sealed=_closed(seal, channel_id, rotated))
    )


def _closed(seal: Seal, channel_id: str, content: _Sealed) -> bytes:
    return seal.close(msgspec.json.encode(content).decode(), channel_id)


def _opened(seal: Seal, sealed: bytes, channel_id: str) -> _Sealed:
    return msgspec.json.decode(seal.open(sealed, channel_id), type=_Sealed)


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "")[:300]


_LISTED = [alert_channels.c[name] for name in Listed.__struct_fields__]


async def list_channels(connection: AsyncConnection, workspaces: Sequence[str]) -> list[Listed]:
    query = (
        select(*_LISTED)
        .where(alert_channels.c.workspace_id.in_(workspaces))
        .order_by(alert_channels.c.created_at, alert_channels.c.id)
    )
    return [Listed(**row) for row in (await connection.execute(query)).mappings()]


async def find_channel(connection: AsyncConnection, channel_id: str) -> Listed | None:
    query = select(*_LISTED).where(alert_channels.c.id == channel_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else Listed(**row)


async def open_channel(
    connection: AsyncConnection, seal: Seal, channel_id: str, page: str | None, now_us: int
) -> Channel | None:
    """A channel that is on, with its secrets. Raises AppError (409) where they can't be opened."""
    query = select(alert_channels).where(
        alert_channels.c.id == channel_id, alert_channels.c.enabled
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    content = _opened(seal, row.sealed, row.id)
    return Channel(
        id=row.id,
        kind=row.kind,
        name=row.name,
        url=content.url,
        secrets=content.secrets if now_us < content.older_until else content.secrets[:1],
        page=page,
    )


async def switch_channel(connection: AsyncConnection, channel_id: str, *, on: bool) -> None:
    await connection.execute(
        update(alert_channels).where(alert_channels.c.id == channel_id).values(enabled=on)
    )


async def delete_channel(connection: AsyncConnection, channel_id: str) -> None:
    """Remove a channel, with what is waiting to be sent to it."""
    await connection.execute(delete(alert_channels).where(alert_channels.c.id == channel_id))
