"""`tokenwatcher users`: people who may sign in. Passwords are typed or piped, never arguments."""

import asyncio
import sys
from pathlib import Path

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access import members, people
from tokenwatcher_server.access import users as access
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.people import Person
from tokenwatcher_server.access.roles import ROLES, Role
from tokenwatcher_server.access.users import User
from tokenwatcher_server.access.workspaces import DEFAULT, Workspace, find_workspace
from tokenwatcher_server.cli.control import operator, with_control
from tokenwatcher_server.cli.group import Group
from tokenwatcher_server.cli.instance import data_dir_option, json_option, print_json
from tokenwatcher_server.cli.text import table
from tokenwatcher_server.control.audit import record
from tokenwatcher_server.kernel.clock import SystemClock, iso
from tokenwatcher_server.kernel.errors import AppError

workspace_option = click.option(
    "--workspace", default=DEFAULT, show_default=True, help="The workspace's slug."
)
role_type = click.Choice(ROLES)


class UserView(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    username: str
    created_at: str
    owns_instance: bool
    roles: dict[str, Role]
    """By the slug of the workspace."""


@click.group(cls=Group)
def users() -> None:
    """Make and list the people who may sign in."""


@users.command("create")
@click.argument("username")
@workspace_option
@click.option("--role", type=role_type, default="member", show_default=True,
              help="What they may do in that workspace.")  # fmt: skip
@click.option("--owns-instance", is_flag=True,
              help="Make them an owner of the instance: of every workspace, and of its settings.")  # fmt: skip
@data_dir_option
@json_option
def create(
    username: str,
    workspace: str,
    role: Role,
    data_dir: Path,
    *,
    owns_instance: bool,
    as_json: bool,
) -> None:
    """Make a user; the password is asked for, or read from standard input."""
    password_hash = _hash(_ask_password())

    async def work(connection: AsyncConnection) -> UserView:
        first = not await access.count_users(connection)
        person = Person(username, password_hash, owns_instance=first or owns_instance)
        found = await find_workspace(connection, workspace)
        if found is None and not first:
            raise click.ClickException(f"There is no workspace {workspace!r}.")
        places = {} if found is None else {found.id: "owner" if person.owns_instance else role}
        now_us = SystemClock().now_us()
        made = await people.add_person(connection, operator(), person, places, now_us)
        return _view(made, {} if found is None else {found.slug: places[found.id]})

    made = with_control(data_dir, work)
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made.username} can sign in now.")


@users.command("list")
@data_dir_option
@json_option
def list_users(data_dir: Path, *, as_json: bool) -> None:
    """List the users, and what they may do where."""

    async def work(connection: AsyncConnection) -> list[UserView]:
        found = await access.list_users(connection)
        roles = await people.roles_by_slug(connection)
        return [_view(user, roles.get(user.id, {})) for user in found]

    found = with_control(data_dir, work)
    if as_json:
        print_json(found)
    else:
        rows = [[one.username, _roles_text(one), one.created_at[:10]] for one in found]
        click.echo(table(["USERNAME", "ROLES", "MADE"], rows))


@users.command("set-password")
@click.argument("username")
@data_dir_option
def set_password(username: str, data_dir: Path) -> None:
    """Change a password; this ends all of the user's sessions."""
    password_hash = _hash(_ask_password())

    async def work(connection: AsyncConnection) -> None:
        user = await _known(connection, username)
        now_us = SystemClock().now_us()
        await access.set_password(connection, user.id, password_hash, now_us)
        await record(connection, operator(), people.entry("password", user), now_us)

    with_control(data_dir, work)
    click.echo(f"The password of {username} is changed, and every session of theirs has ended.")


@users.command("set-role")
@click.argument("username")
@click.argument("role", type=role_type)
@workspace_option
@data_dir_option
def set_role(username: str, role: Role, workspace: str, data_dir: Path) -> None:
    """Give a user a role in a workspace, which lets in who is not in it yet."""

    async def work(connection: AsyncConnection) -> None:
        user, place = await _known(connection, username), await _place(connection, workspace)
        now_us = SystemClock().now_us()
        member = await members.find_member(connection, place.id, user.id)
        if member is None:
            await people.admit(connection, operator(), place.id, user, role, now_us)
        else:
            await people.give_role(connection, operator(), member, role, now_us)

    with_control(data_dir, work)
    click.echo(f"{username} is {role} of {workspace} now.")


@users.command("remove")
@click.argument("username")
@workspace_option
@data_dir_option
def remove(username: str, workspace: str, data_dir: Path) -> None:
    """Take a user out of a workspace; they can sign in, but no longer see it."""

    async def work(connection: AsyncConnection) -> None:
        user, place = await _known(connection, username), await _place(connection, workspace)
        member = await members.find_member(connection, place.id, user.id)
        if member is None:
            raise click.ClickException(f"{username} does not belong to {workspace}.")
        await people.let_go(connection, operator(), member, SystemClock().now_us())

    with_control(data_dir, work)
    click.echo(f"{username} no longer belongs to {workspace}.")


@users.command("sign-out")
@click.argument("username")
@data_dir_option
def sign_out(username: str, data_dir: Path) -> None:
    """End all sessions of a user, at once."""

    async def work(connection: AsyncConnection) -> None:
        user = await _known(connection, username)
        await access.end_sessions(connection, user.id)
        entry = people.entry("sign-out", user)
        await record(connection, operator(), entry, SystemClock().now_us())

    with_control(data_dir, work)
    click.echo(f"Every session of {username} has ended.")


async def _known(connection: AsyncConnection, username: str) -> User:
    found = await access.find_user(connection, username)
    if found is None:
        raise click.ClickException(f"There is no user {username!r}.")
    return found[0]


async def _place(connection: AsyncConnection, slug: str) -> Workspace:
    found = await find_workspace(connection, slug)
    if found is None:
        raise click.ClickException(f"There is no workspace {slug!r}.")
    return found


def _view(user: User, roles: dict[str, Role]) -> UserView:
    return UserView(user.id, user.username, iso(user.created_at), user.owns_instance, roles)


def _roles_text(user: UserView) -> str:
    if user.owns_instance:
        return "owns the instance"
    return ", ".join(f"{slug}: {role}" for slug, role in sorted(user.roles.items())) or "-"


def _ask_password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    try:
        return sys.stdin.buffer.readline().decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("The password is not text in UTF-8.") from None


def _hash(password: str) -> str:
    try:
        return asyncio.run(Passwords().hash(password))
    except AppError as error:
        raise click.ClickException(error.message) from None
