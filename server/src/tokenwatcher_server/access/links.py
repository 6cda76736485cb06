"""Links that sign a person in once, soon after they were made."""

import secrets
from hashlib import sha256

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.users import USER_COLUMNS, User
from tokenwatcher_server.control.tables import sign_in_links, users
from tokenwatcher_server.kernel.clock import MICROSECONDS
from tokenwatcher_server.kernel.ids import UserId

LIFETIME_SECONDS = 3600


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


async def make_link(connection: AsyncConnection, user_id: UserId, now_us: int) -> str:
    """The token of a new link; it is kept only as its hash."""
    token = secrets.token_urlsafe(32)
    await connection.execute(delete(sign_in_links).where(sign_in_links.c.expires_at <= now_us))
    await connection.execute(
        insert(sign_in_links).values(
            hash=_hash(token),
            user_id=user_id,
            expires_at=now_us + LIFETIME_SECONDS * MICROSECONDS,
            used_at=None,
        )
    )
    return token


async def use_link(connection: AsyncConnection, token: str, now_us: int) -> User | None:
    """The user whom the link signs in, the first time only; None ever after."""
    done = await connection.execute(
        update(sign_in_links)
        .where(
            sign_in_links.c.hash == _hash(token),
            sign_in_links.c.used_at.is_(None),
            sign_in_links.c.expires_at > now_us,
        )
        .values(used_at=now_us)
    )
    if not done.rowcount:
        return None
    query = (
        select(*USER_COLUMNS)
        .join(sign_in_links, sign_in_links.c.user_id == users.c.id)
        .where(sign_in_links.c.hash == _hash(token))
    )
    row = (await connection.execute(query)).one()
    return User(*row)
