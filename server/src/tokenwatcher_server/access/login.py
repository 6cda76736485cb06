"""Signing in by password: the same answer, in the same time, for a wrong name and a wrong password."""

from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access import throttle
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.sessions import Session, begin_session
from tokenwatcher_server.access.users import LONGEST_USERNAME, User, find_user
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.observability.logs import logger

UNKNOWN = "an unknown name"
"""What the audit log calls a name that nobody has: people type their password in its place."""


class Login:
    def __init__(self, database: Database, passwords: Passwords, clock: Clock) -> None:
        self._database = database
        self._passwords = passwords
        self._clock = clock
        self._attempts = throttle.Attempts()

    async def sign_in(
        self, username: str, password: str, visitor: Actor, *, instead_of: str | None = None
    ) -> Session | None:
        """A new session, or None for a wrong name or password, in the same time for both.

        Ends the session `instead_of`, which the client came with. Raises AppError (429) for
        those who try too often; then no password is hashed.
        """
        now_us = self._clock.now_us()
        user = await self._verified(username, password, visitor, now_us)
        if user is None:
            logger().warning("a sign-in failed", address=visitor.address)
            return None
        async with self._database.transaction() as connection:
            session = await signed_in(connection, user, visitor, now_us, instead_of=instead_of)
        logger().info("signed in", user_id=user.id, address=visitor.address)
        return session

    def count_attempt(self, visitor: Actor) -> None:
        """Count an attempt to sign in elsewhere; raises AppError (429) for too many."""
        self._attempts.count(throttle.place_of(visitor.address or ""), self._clock.now_us())

    async def confirms(self, user: User, password: str, visitor: Actor) -> bool:
        """Whether it is the password of somebody who is signed in; as slow for who guesses."""
        now_us = self._clock.now_us()
        return await self._verified(user.username, password, visitor, now_us) is not None

    async def _verified(
        self, username: str, password: str, visitor: Actor, now_us: int
    ) -> User | None:
        account, place = username[:LONGEST_USERNAME], throttle.place_of(visitor.address or "")
        self._attempts.count(place, now_us)
        async with self._database.reading() as connection:
            await throttle.check_wait(connection, account, place, now_us)
            found = await find_user(connection, account)
        user, known_hash = found or (None, None)
        # who signs in elsewhere has an empty hash: nothing matches it, and it takes as long
        if not await self._passwords.matches(password, known_hash or None) or user is None:
            async with self._database.transaction() as connection:
                await throttle.note_failure(connection, account, place, now_us)
                await record(connection, visitor, _refused(user), now_us)
            return None
        async with self._database.transaction() as connection:
            await throttle.forgive(connection, account, place)
        return user


async def signed_in(
    connection: AsyncConnection,
    user: User,
    visitor: Actor,
    now_us: int,
    *,
    instead_of: str | None,
    how: str = "password",
) -> Session:
    """A new session for somebody who has shown who they are, with its entry in the audit log."""
    session = await begin_session(connection, user, now_us, instead_of=instead_of)
    actor = Actor("user", user.username, user.id, visitor.address, visitor.request_id)
    entry = Entry(
        action="session.begin",
        object_kind="session",
        object_name=user.username,
        object_id=user.id,
        after={"by": how},
    )
    await record(connection, actor, entry, now_us)
    return session


def _refused(user: User | None) -> Entry:
    return Entry(
        action="session.refuse",
        object_kind="session",
        object_name=UNKNOWN if user is None else user.username,
        object_id=None if user is None else user.id,
    )
