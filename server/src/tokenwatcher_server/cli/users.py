"""`tokenwatcher users`: people who may sign in. Passwords are typed or piped, never arguments."""

import asyncio
import sys
from pathlib import Path

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access import users as access
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.users import User
from tokenwatcher_server.cli.control import with_control
from tokenwatcher_server.cli.instance import data_dir_option, json_option, print_json
from tokenwatcher_server.cli.text import table, when
from tokenwatcher_server.kernel.clock import SystemClock, iso
from tokenwatcher_server.kernel.errors import AppError


@click.group()
def users() -> None:
    """Make and list the people who may sign in."""


@users.command("create")
@click.argument("username")
@data_dir_option
@json_option
def create(username: str, data_dir: Path, *, as_json: bool) -> None:
    """Make a user; the password is asked for, or read from standard input."""
    password_hash = _hash(_ask_password())

    async def work(connection: AsyncConnection) -> User:
        return await access.create_user(connection, username, password_hash, SystemClock().now_us())

    made = with_control(data_dir, work)
    if as_json:
        print_json(_view(made))
    else:
        click.echo(f"{made.username} can sign in now.")


@users.command("list")
@data_dir_option
@json_option
def list_users(data_dir: Path, *, as_json: bool) -> None:
    """List the users."""
    found = with_control(data_dir, access.list_users)
    if as_json:
        print_json([_view(user) for user in found])
    else:
        click.echo(table(["USERNAME", "MADE"], [[u.username, when(u.created_at)] for u in found]))


@users.command("set-password")
@click.argument("username")
@data_dir_option
def set_password(username: str, data_dir: Path) -> None:
    """Change a password; this ends all of the user's sessions."""
    password_hash = _hash(_ask_password())

    async def work(connection: AsyncConnection) -> None:
        found = await access.find_user(connection, username)
        if found is None:
            raise click.ClickException(f"There is no user {username!r}.")
        await access.set_password(connection, found[0].id, password_hash, SystemClock().now_us())

    with_control(data_dir, work)
    click.echo(f"The password of {username} is changed, and every session of theirs has ended.")


def _view(user: User) -> dict[str, str]:
    return {"id": user.id, "username": user.username, "createdAt": iso(user.created_at)}


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
