"""What the first start makes: a workspace, a project, a person and a key."""

import msgspec

from tokenwatcher_server.access.keys import create_key
from tokenwatcher_server.access.passwords import Passwords, generate_password
from tokenwatcher_server.access.projects import list_projects
from tokenwatcher_server.access.users import count_users, create_user
from tokenwatcher_server.access.workspaces import create_workspace
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
) -> Welcome | None:
    """Make what a new instance needs; None where it was made before."""
    async with database.reading() as connection:
        if await count_users(connection):
            return None
    generated = None if password else generate_password()
    password_hash = await passwords.hash(password or generated or "")
    async with database.transaction() as connection:
        if await count_users(connection):  # another process was faster
            return None
        await create_user(connection, username, password_hash, now_us)
        workspace = await create_workspace(connection, "default", now_us)
        [project] = await list_projects(connection, workspace.id)
        key = await create_key(
            connection,
            workspace_id=workspace.id,
            project_id=project.id,
            name="first key",
            kind="live",
            now_us=now_us,
        )
    return Welcome(username, generated, key.raw)
