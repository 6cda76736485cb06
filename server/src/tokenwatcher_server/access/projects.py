"""Projects of a workspace, and the directory that ingest looks them up in."""

import asyncio
from typing import Literal, get_args

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.access.slugs import slug_of
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import api_keys, projects
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId, new_id

Environment = Literal["production", "staging", "development", "test"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
MOST_WORKSPACES_REMEMBERED = 1_000
KNOWN_FOR_US = 60 * MICROSECONDS
UNKNOWN_FOR_US = MICROSECONDS


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
    name = checked_name(name)
    query = select(projects.c.slug).where(projects.c.workspace_id == workspace_id)
    taken = set((await connection.execute(query)).scalars())
    slug = slug_of(name, taken, otherwise="project")
    made = Project(ProjectId(new_id()), workspace_id, name, slug, environment, now_us)
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
    values = {"name": None if name is None else checked_name(name), "environment": environment}
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


class _Directory(msgspec.Struct, frozen=True):
    """A workspace's projects by id and slug, as they were at an instant."""

    read_at_us: int
    projects: dict[str, ProjectId]

    def is_old(self, reference: str, now_us: int) -> bool:
        limit = KNOWN_FOR_US if reference in self.projects else UNKNOWN_FOR_US
        return not 0 <= now_us - self.read_at_us < limit


class ProjectDirectory:
    """Finds a workspace's project by id or slug, from memory.

    A reference that is not known makes it read the workspace again, at most once a second and
    once for all who ask, so a flood of made-up slugs costs no queries. What is known is read
    again after a minute, in case another process removed it.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[WorkspaceId, _Directory] = {}
        self._reading = asyncio.Lock()

    async def find(self, workspace_id: WorkspaceId, reference: str) -> ProjectId | None:
        """The project of this id or slug, None where the workspace has none."""
        known = self._known.get(workspace_id)
        if known is None or known.is_old(reference, self._clock.now_us()):
            known = await self._read(workspace_id, reference)
        return known.projects.get(reference)

    def forget(self) -> None:
        """To be called after this process changed or removed a project."""
        self._known.clear()

    async def _read(self, workspace_id: WorkspaceId, reference: str) -> _Directory:
        async with self._reading:
            now_us = self._clock.now_us()
            known = self._known.get(workspace_id)
            if known is not None and not known.is_old(reference, now_us):
                return known  # another request read it meanwhile
            async with self._database.reading() as connection:
                found = await list_projects(connection, workspace_id)
            by_slug = {project.slug: project.id for project in found}
            known = _Directory(now_us, by_slug | {project.id: project.id for project in found})
            if len(self._known) >= MOST_WORKSPACES_REMEMBERED:
                self._known.clear()
            self._known[workspace_id] = known
            return known
