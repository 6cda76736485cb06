"""Projects of a workspace, and the directory that ingest looks them up in."""

from typing import Literal, get_args

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.slugs import slug_of
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import api_keys, projects
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId, new_id

Environment = Literal["production", "staging", "development", "test"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
MOST_WORKSPACES_REMEMBERED = 1_000
REREAD_AFTER_US = MICROSECONDS


class Project(msgspec.Struct, frozen=True, rename="camel"):
    id: ProjectId
    workspace_id: WorkspaceId
    name: str
    slug: str
    environment: Environment
    created_at: int


async def create_project(
    connection: AsyncConnection,
    workspace_id: WorkspaceId,
    name: str,
    environment: Environment,
    now_us: int,
) -> Project:
    """Make a project; its slug comes from the name and is unique in the workspace."""
    query = select(projects.c.slug).where(projects.c.workspace_id == workspace_id)
    taken = set((await connection.execute(query)).scalars())
    made = Project(
        ProjectId(new_id()), workspace_id, name, slug_of(name, taken), environment, now_us
    )
    await connection.execute(insert(projects).values(msgspec.structs.asdict(made)))
    return made


async def list_projects(
    connection: AsyncConnection, workspace_id: WorkspaceId | None = None
) -> list[Project]:
    """The projects of one workspace or of all, oldest first."""
    query = select(projects).order_by(projects.c.created_at)
    if workspace_id is not None:
        query = query.where(projects.c.workspace_id == workspace_id)
    return [Project(**row) for row in (await connection.execute(query)).mappings()]


async def find_project(connection: AsyncConnection, project_id: str) -> Project | None:
    query = select(projects).where(projects.c.id == project_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else Project(**row)


async def change_project(
    connection: AsyncConnection,
    project_id: ProjectId,
    *,
    name: str | None = None,
    environment: Environment | None = None,
) -> None:
    """Change what is given; the slug stays, as clients send it."""
    values = {"name": name, "environment": environment}
    given = {field: value for field, value in values.items() if value is not None}
    if given:
        await connection.execute(update(projects).where(projects.c.id == project_id).values(given))


async def delete_project(connection: AsyncConnection, project_id: ProjectId) -> None:
    """Remove a project; raises AppError (409) while it has keys that hold.

    Revoked keys go with it. Whether it has events is for the caller to check.
    """
    holding = select(func.count()).where(
        api_keys.c.project_id == project_id, api_keys.c.revoked_at.is_(None)
    )
    if (await connection.execute(holding)).scalar_one():
        raise AppError(
            Kind.CONFLICT, "STILL_IN_USE", "The project still has API keys; revoke them first."
        )
    await connection.execute(delete(api_keys).where(api_keys.c.project_id == project_id))
    await connection.execute(delete(projects).where(projects.c.id == project_id))


class ProjectDirectory:
    """Finds a workspace's project by id or slug, from memory.

    A reference that is not known makes it read the workspace again, at most once a second, so
    a flood of made-up slugs costs no queries.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[WorkspaceId, tuple[int, dict[str, ProjectId]]] = {}

    async def find(self, workspace_id: WorkspaceId, reference: str) -> ProjectId | None:
        """The project of this id or slug, None where the workspace has none."""
        read_at, known = self._known.get(workspace_id, (0, {}))
        found = known.get(reference)
        if found is not None or self._clock.now_us() - read_at < REREAD_AFTER_US:
            return found
        return (await self._read(workspace_id)).get(reference)

    def forget(self) -> None:
        """To be called after this process changed or removed a project."""
        self._known.clear()

    async def _read(self, workspace_id: WorkspaceId) -> dict[str, ProjectId]:
        async with self._database.reading() as connection:
            found = await list_projects(connection, workspace_id)
        known = {project.slug: project.id for project in found}
        known |= {project.id: project.id for project in found}
        if len(self._known) >= MOST_WORKSPACES_REMEMBERED:
            self._known.clear()
        self._known[workspace_id] = (self._clock.now_us(), known)
        return known
