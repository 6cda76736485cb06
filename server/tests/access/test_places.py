"""Workspaces and projects: their slugs, what may be removed, and what ingest finds."""

from typing import Any

import pytest

from tokenwatcher_server.access.first_start import first_start
from tokenwatcher_server.access.keys import create_key, list_keys, revoke_key
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.principal import narrowed
from tokenwatcher_server.access.projects import (
    ProjectDirectory,
    create_project,
    delete_project,
    list_projects,
)
from tokenwatcher_server.access.workspaces import (
    create_workspace,
    delete_workspace,
    find_workspace,
    list_workspaces,
)
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId

NOW_US = 1_800_000_000_000_000


def test_the_first_start_makes_what_a_newcomer_needs_once(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        async def start(password: str | None) -> Any:
            return await first_start(
                database, Passwords(), username="admin", password=password, now_us=NOW_US
            )

        welcome = await start(None)
        assert welcome is not None
        assert welcome.password
        assert await start("another password") is None
        async with database.reading() as connection:
            assert [w.slug for w in await list_workspaces(connection)] == ["default"]
            assert [p.slug for p in await list_projects(connection)] == ["default"]
            assert [k.key_prefix for k in await list_keys(connection)] == [welcome.raw_key[:16]]

    on_database(scenario)


def test_slugs_come_from_names_and_never_clash(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            made = [
                await create_workspace(connection, name, NOW_US) for name in ("A b!", "a-B", "ü")
            ]
            assert [workspace.slug for workspace in made] == ["a-b", "a-b-2", "project"]
            again = [
                await create_project(connection, made[0].id, "Chat", "production", NOW_US)
                for _ in range(3)
            ]
            assert [project.slug for project in again] == ["chat", "chat-2", "chat-3"]

    on_database(scenario)


def test_what_has_keys_that_hold_stays(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            workspace = await create_workspace(connection, "Acme", NOW_US)
            [project] = await list_projects(connection, workspace.id)
            made = await create_key(
                connection,
                workspace_id=workspace.id,
                project_id=project.id,
                name="k",
                kind="live",
                now_us=NOW_US,
            )
            for removing in (
                delete_project(connection, project.id),
                delete_workspace(connection, workspace.id),
            ):
                with pytest.raises(AppError) as refused:
                    await removing
                assert refused.value.kind is Kind.CONFLICT
            await revoke_key(connection, made.record.id, NOW_US)
            await delete_workspace(connection, workspace.id)
            assert await find_workspace(connection, "acme") is None

    on_database(scenario)


def test_ingest_finds_a_project_by_id_or_slug_in_its_own_workspace(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            ours = await create_workspace(connection, "Ours", NOW_US)
            theirs = await create_workspace(connection, "Theirs", NOW_US)
            chat = await create_project(connection, ours.id, "Chat", "production", NOW_US)
        clock = FrozenClock(NOW_US)
        directory = ProjectDirectory(database, clock)
        assert await directory.find(ours.id, "chat") == chat.id
        assert await directory.find(ours.id, chat.id) == chat.id
        assert await directory.find(theirs.id, "chat") is None
        assert await directory.find(theirs.id, chat.id) is None
        async with database.transaction() as connection:
            late = await create_project(connection, ours.id, "Late", "test", NOW_US)
        assert await directory.find(ours.id, "late") is None
        clock.advance(seconds=1)
        assert await directory.find(ours.id, "late") == late.id

    on_database(scenario)


def test_a_scope_is_narrowed_never_widened() -> None:
    ours, theirs = WorkspaceId("ours"), WorkspaceId("theirs")
    scope = Scope((ours,), (ProjectId("chat"),))
    assert narrowed(scope, None, None) == scope
    assert narrowed(scope, ours, ProjectId("chat")) == scope
    for workspace, project in ((theirs, None), (None, ProjectId("other"))):
        with pytest.raises(AppError) as refused:
            narrowed(scope, workspace, project)
        assert refused.value.kind is Kind.NOT_FOUND
