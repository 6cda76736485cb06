"""People who may sign in."""

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.tables import sessions, users
from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.kernel.ids import UserId, new_id

LONGEST_NAME = 200


class User(msgspec.Struct, frozen=True, rename="camel"):
    id: UserId
    username: str
    created_at: int


async def create_user(
    connection: AsyncConnection, username: str, password_hash: str, now_us: int
) -> User:
    """Make a user; raises AppError where the name is taken, empty or too long."""
    if not username.strip() or len(username) > LONGEST_NAME or "\0" in username:
        message = f"must have 1 to {LONGEST_NAME} characters"
        raise invalid(f"The username {message}.", Issue("username", message))
    if await find_user(connection, username) is not None:
        raise invalid("The username is taken.", Issue("username", "is taken"))
    made = User(UserId(new_id()), username, now_us)
    await connection.execute(
        insert(users).values(
            **msgspec.structs.asdict(made),
            password_hash=password_hash,
            password_changed_at=now_us,
        )
    )
    return made


async def list_users(connection: AsyncConnection) -> list[User]:
    query = select(users.c.id, users.c.username, users.c.created_at).order_by(users.c.created_at)
    return [User(*row) for row in await connection.execute(query)]


async def count_users(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.count()).select_from(users))).scalar_one())


async def find_user(connection: AsyncConnection, username: str) -> tuple[User, str] | None:
    """The user of this name and the hash of their password."""
    query = select(users).where(users.c.username == username)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    return User(row["id"], row["username"], row["created_at"]), row["password_hash"]


async def set_password(
    connection: AsyncConnection, user_id: UserId, password_hash: str, now_us: int
) -> None:
    """Change a password and end all of the user's sessions."""
    await connection.execute(
        update(users)
        .where(users.c.id == user_id)
        .values(password_hash=password_hash, password_changed_at=now_us)
    )
    await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
