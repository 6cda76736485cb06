"""People who may sign in."""

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.control.tables import sessions, sign_in_links, users
from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.kernel.ids import UserId, new_id

LONGEST_USERNAME = 200
USER_COLUMNS = (users.c.id, users.c.username, users.c.created_at, users.c.owns_instance)
"""What a User is made of, in its order."""


class User(msgspec.Struct, frozen=True, rename="camel"):
    id: UserId
    username: str
    created_at: int
    owns_instance: bool = False
    """Owns the whole instance: an owner of every workspace, now and later."""


async def create_user(
    connection: AsyncConnection,
    username: str,
    password_hash: str,
    now_us: int,
    *,
    owns_instance: bool = False,
) -> User:
    """Make a user, who belongs to no workspace yet; raises AppError where the name is taken or is none (see `checked_name`)."""
    username = checked_name(username, "username", longest=LONGEST_USERNAME)
    if await find_user(connection, username) is not None:
        raise invalid("The username is taken.", Issue("username", "is taken"))
    made = User(UserId(new_id()), username, now_us, owns_instance)
    await connection.execute(
        insert(users).values(
            **msgspec.structs.asdict(made),
            password_hash=password_hash,
            password_changed_at=now_us,
        )
    )
    return made


async def list_users(connection: AsyncConnection) -> list[User]:
    query = select(*USER_COLUMNS).order_by(users.c.created_at)
    return [User(*row) for row in await connection.execute(query)]


async def count_users(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.count()).select_from(users))).scalar_one())


async def find_user(connection: AsyncConnection, username: str) -> tuple[User, str] | None:
    """The user of this name and the hash of their password."""
    query = select(users).where(users.c.username == username)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    user = User(row["id"], row["username"], row["created_at"], row["owns_instance"])
    return user, row["password_hash"]


async def end_sessions(
    connection: AsyncConnection, user_id: UserId, *, but: bytes | None = None
) -> None:
    """Sign a person out everywhere, but for the session with this hash; their links end too."""
    ended = delete(sessions).where(sessions.c.user_id == user_id)
    await connection.execute(ended if but is None else ended.where(sessions.c.hash != but))
    await connection.execute(delete(sign_in_links).where(sign_in_links.c.user_id == user_id))


async def set_password(
    connection: AsyncConnection, user_id: UserId, password_hash: str, now_us: int
) -> None:
    """Change a password, and end all of the user's sessions and sign-in links."""
    await connection.execute(
        update(users)
        .where(users.c.id == user_id)
        .values(password_hash=password_hash, password_changed_at=now_us)
    )
    await end_sessions(connection, user_id)
