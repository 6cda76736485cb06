"""What the first start makes: a workspace, a project, a person and a key."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.keys import NewKey, create_key
from tokenwatcher_server.access.members import add_member
from tokenwatcher_server.access.passwords import Passwords, generate_password
from tokenwatcher_server.access.projects import list_projects
from tokenwatcher_server.access.users import count_users, create_user, list_users
from tokenwatcher_server.access.workspaces import DEFAULT, create_workspace, list_workspaces
from tokenwatcher_server.control.database import Database


class Welcome(msgspec.Struct, frozen=True):
    """Shown once. `password` is None where the operator chose it."""

    username: str
    password: str | None
    raw_key: str


async def first_start(
    database: Database,
    passwords: Passwords,
    *,
    username: str,
    password: str | None,
    now_us: int,
    insecure: bool = False,
) -> Welcome | None:
    """Make what a new instance needs, all of it or nothing; None where it was made before.

    Raises AppError for a username or password that can't be (`access/posture.py` checks both);
    a weak password is taken where `insecure`.
    """
    async with database.reading() as connection:
        if await list_workspaces(connection):
            return None
    generated = None if password else generate_password()
    password_hash = await passwords.hash(password or generated or "", however_weak=insecure)
    async with database.transaction() as connection:
        if await list_workspaces(connection):  # another process was faster
            return None
        if await count_users(connection):  # made by the command line, with a password of their own
            generated = None
        else:
            await create_user(connection, username, password_hash, now_us, owns_instance=True)
        key = await _first_key(connection, now_us)
    return Welcome(username, generated, key.raw)


async def _first_key(connection: AsyncConnection, now_us: int) -> NewKey:
    workspace = await create_workspace(connection, DEFAULT, now_us)
    for user in await list_users(connection):
        if user.owns_instance:
            await add_member(connection, workspace.id, user.id, "owner", now_us)
    [project] = await list_projects(connection, workspace.id)
    return await create_key(
        connection,
        workspace_id=workspace.id,
        project_id=project.id,
        name="first key",
        kind="live",
        now_us=now_us,
    )
