"""Puts the made-up company into an instance: its workspace and its projects."""

from collections.abc import Mapping

import msgspec

from tokenwatcher_server.access.projects import create_project, list_projects
from tokenwatcher_server.access.workspaces import DEFAULT, find_workspace, rename_workspace
from tokenwatcher_server.alerts.rule import Rule, RuleType, checked, parts_of
from tokenwatcher_server.alerts.rules import list_rules, save_rule
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.demo.company import COMPANY, PROJECTS
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId, new_id

BUDGETS: tuple[tuple[str, RuleType, str, tuple[int, ...]], ...] = (
    ("All of it, this month", "monthly_cost", "2500", (50, 80, 100)),
    ("All of it, a day", "daily_cost", "120", (80, 100)),
    ("Anybody, a day", "user_daily_cost", "5", (100,)),
    ("Calls that fail", "error_rate", "5", (100,)),
    ("Models without a price", "unpriced_events", "500", (100,)),
)
"""Names, types, thresholds and steps."""


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


async def found_budgets(database: Database, company: Company, now_us: int) -> None:
    """Give the company some budgets to watch; harmless when done before."""
    async with database.transaction() as connection:
        if await list_rules(connection, [company.workspace_id]):
            return
        for name, kind, threshold, steps in BUDGETS:
            rule = Rule(
                id=new_id(),
                workspace_id=company.workspace_id,
                project_id=None,
                name=name,
                type=kind,
                threshold=1,
                steps=steps,
                created_at=now_us,
            )
            exact = parts_of(threshold, rule.watched.unit)
            await save_rule(connection, checked(msgspec.structs.replace(rule, threshold=exact)))
