"""Runs a command's work in one transaction of the control database."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.cli.instance import need_instance, settings_of
from tokenwatcher_server.control.audit import Actor
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused

Result = TypeVar("Result")


def operator() -> Actor:
    """Who runs this command, for the audit log: the name of their account on this machine."""
    try:
        return Actor("command", getpass.getuser())
    except (KeyError, OSError):  # a container may run as a number that has no name
        return Actor("command", f"user {os.getuid()}")


def with_control(data_dir: Path, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Do the work, also beside a running server; a refusal ends the command with its message."""
    settings = settings_of(data_dir)
    need_instance(data_dir)

    async def run() -> Result:
        database = Database(control_url(settings.database_url, settings.data_dir))
        try:
            await migrate(database)
            async with database.transaction() as connection:
                return await work(connection)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except (AppError, InstanceRefused) as error:
        raise click.ClickException(str(error)) from None
