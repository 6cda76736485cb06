"""Workspaces and projects: their slugs, what may be removed, and what ingest finds."""

import asyncio
from typing import Any

import pytest

from tokenwatcher_server.access.first_start import first_start
from tokenwatcher_server.access.keys import create_key, list_keys, revoke_key
from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.principal import narrowed
from tokenwatcher_server.access.projects import (
    ProjectDirectory,
    create_project,
    delete_project,
    list_projects,
)
from tokenwatcher_server.access.users import create_user, list_users
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
                await create_workspace(connection, name, NOW_US)
                for name in ("A b!", "a-B", "Über uns", "日本", "x" * 89 + " y")
            ]
            slugs = [workspace.slug for workspace in made]
            assert slugs == ["a-b", "a-b-2", "uber-uns", "workspace", "x" * 89]
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


def test_a_flood_of_made_up_slugs_costs_one_query_a_second(
    on_database: Any, queries_of: Any
) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            ours = await create_workspace(connection, "Ours", NOW_US)
        clock = FrozenClock(NOW_US)
        directory = ProjectDirectory(database, clock)
        queries = queries_of(database, "projects")
        for second in range(3):
            found = await asyncio.gather(
                *(directory.find(ours.id, f"made up {n}") for n in range(1000))
            )
            assert set(found) == {None}
            assert len(queries) == second + 1
            clock.advance(seconds=1)

    on_database(scenario)


def test_a_project_that_another_process_removed_is_forgotten_within_a_minute(
    on_database: Any,
) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            ours = await create_workspace(connection, "Ours", NOW_US)
            chat = await create_project(connection, ours.id, "Chat", "production", NOW_US)
        clock = FrozenClock(NOW_US)
        directory = ProjectDirectory(database, clock)
        assert await directory.find(ours.id, "chat") == chat.id
        async with database.transaction() as connection:
            await delete_project(connection, chat.id)
        clock.advance(seconds=60)
        assert await directory.find(ours.id, "chat") is None

    on_database(scenario)


def test_a_slug_can_never_stand_for_another_workspaces_id(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            victim = await create_workspace(connection, "Victim", NOW_US)
            imitation = await create_workspace(connection, victim.id, NOW_US)
            assert imitation.slug == victim.id
            assert await find_workspace(connection, victim.id) == victim

    on_database(scenario)


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "a\0b", "a\nb", "a\x1b[31m", "\u2028x\u2029y", "\ud800"]
)
def test_a_name_that_cant_be_shown_or_stored_is_refused(name: str) -> None:
    with pytest.raises(AppError) as refused:
        checked_name(name)
    assert refused.value.kind is Kind.INVALID


@pytest.mark.parametrize("name", ["x", "x" * 100, "Zoë & 日本 👩‍💻", "<b>bold</b>"])
def test_any_name_of_plain_text_is_taken_without_the_spaces_around_it(name: str) -> None:
    assert checked_name(f"  {name}\t") == name


def test_a_first_start_after_a_user_was_made_keeps_that_user_alone(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            await create_user(connection, "ana", "hash", NOW_US)
        welcome = await first_start(
            database, Passwords(), username="admin", password=None, now_us=NOW_US
        )
        assert welcome is not None
        assert welcome.password is None
        async with database.reading() as connection:
            assert [user.username for user in await list_users(connection)] == ["ana"]
            assert [found.slug for found in await list_workspaces(connection)] == ["default"]

    on_database(scenario)


def test_two_first_starts_at_once_make_everything_once(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        welcomes = await asyncio.gather(
            *(
                first_start(database, Passwords(), username="admin", password=None, now_us=NOW_US)
                for _ in range(3)
            )
        )
        assert len([welcome for welcome in welcomes if welcome is not None]) == 1
        async with database.reading() as connection:
            assert len(await list_keys(connection)) == 1
            assert len(await list_users(connection)) == 1

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
