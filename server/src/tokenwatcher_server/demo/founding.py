"""Puts the made-up company into an instance: its workspace and its projects."""

from collections.abc import Mapping

import msgspec

from tokenwatcher_server.access.projects import create_project, list_projects
from tokenwatcher_server.access.workspaces import DEFAULT, find_workspace, rename_workspace
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.demo.company import COMPANY, PROJECTS
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId


class Company(msgspec.Struct, frozen=True):
    """Where the company's events belong; `projects` by slug."""

    workspace_id: WorkspaceId
    projects: Mapping[str, ProjectId]


async def found_company(database: Database, now_us: int) -> Company:
    """Give the first workspace the company's name, and make its projects; harmless when done before."""
    async with database.transaction() as connection:
        workspace = await find_workspace(connection, DEFAULT)
        if workspace is None:
            raise LookupError("the instance has no default workspace")
        if workspace.name != COMPANY:
            await rename_workspace(connection, workspace.id, COMPANY)
        present = {project.slug for project in await list_projects(connection, workspace.id)}
        for project in PROJECTS:
            if project.slug not in present:
                await create_project(connection, workspace.id, project.name, "production", now_us)
        projects = await list_projects(connection, workspace.id)
    return Company(workspace.id, {project.slug: project.id for project in projects})
