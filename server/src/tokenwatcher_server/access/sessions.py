"""Sessions live in the control database; the cookie holds a random id and nothing else.

An id is made by the server at every sign-in, never taken from the client, and stored as its
SHA-256. A session ends after twelve hours, after two without use, at sign-out, and with a
change of the password.
"""

import re
import secrets
from contextlib import suppress
from hashlib import sha256

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.users import USER_COLUMNS, User
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import sessions, users
from tokenwatcher_server.kernel.clock import MICROSECONDS
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.kernel.ids import UserId

LIFETIME_SECONDS = 12 * 3600
RECENT_SECONDS = 3600
"""How long after a sign-in somebody may change who else gets in; see `roles.NEEDS_RECENT`."""
IDLE_SECONDS = 2 * 3600
SEEN_EVERY_US = 60 * MICROSECONDS
_ID = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)


class Session(msgspec.Struct, frozen=True):
    """A session that holds. `id` is the cookie's value: never to be logged or stored."""

    id: str
    user: User
    began_at: int

    def is_recent(self, now_us: int) -> bool:
        """Whether the sign-in was so lately that it is surely the same person."""
        return now_us - self.began_at <= RECENT_SECONDS * MICROSECONDS


def _hash(session_id: str) -> bytes:
    return sha256(session_id.encode("ascii")).digest()


async def begin_session(
    connection: AsyncConnection, user: User, now_us: int, *, instead_of: str | None = None
) -> Session:
    """A new session with a new id; ends the one that the client came with, if it did."""
    session_id = secrets.token_urlsafe(32)
    if instead_of is not None:
        await end_session(connection, instead_of)
    await connection.execute(delete(sessions).where(sessions.c.expires_at <= now_us))
    await connection.execute(
        insert(sessions).values(
            hash=_hash(session_id),
            user_id=user.id,
            created_at=now_us,
            last_seen_at=now_us,
            expires_at=now_us + LIFETIME_SECONDS * MICROSECONDS,
        )
    )
    return Session(session_id, user, now_us)


async def find_session(database: Database, session_id: str, now_us: int) -> Session | None:
    """The session of this id if it still holds; its use is noted once a minute."""
    if not _ID.match(session_id):
        return None
    query = (
        select(*USER_COLUMNS, sessions.c.created_at, sessions.c.last_seen_at)
        .join(users, users.c.id == sessions.c.user_id)
        .where(
            sessions.c.hash == _hash(session_id),
            sessions.c.expires_at > now_us,
            sessions.c.last_seen_at > now_us - IDLE_SECONDS * MICROSECONDS,
        )
    )
    async with database.reading() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    *user, began_at, last_seen_at = row
    if now_us - last_seen_at > SEEN_EVERY_US:
        with suppress(AppError):  # a full disk is no reason to show nothing
            await _note_use(database, session_id, now_us)
    return Session(session_id, User(*user), began_at)


async def count_sessions(connection: AsyncConnection, user_id: UserId, now_us: int) -> int:
    """How many sessions of a user hold now."""
    query = select(func.count()).where(
        sessions.c.user_id == user_id,
        sessions.c.expires_at > now_us,
        sessions.c.last_seen_at > now_us - IDLE_SECONDS * MICROSECONDS,
    )
    return int((await connection.execute(query)).scalar_one())


async def end_session(connection: AsyncConnection, session_id: str) -> None:
    if _ID.match(session_id):
        await connection.execute(delete(sessions).where(sessions.c.hash == _hash(session_id)))


async def _note_use(database: Database, session_id: str, now_us: int) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            update(sessions).where(sessions.c.hash == _hash(session_id)).values(last_seen_at=now_us)
        )
