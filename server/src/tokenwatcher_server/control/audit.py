"""The audit log: who changed what, from where, with what before and after.

A change and its entry are written in one transaction: neither is ever there without the other.
The database refuses to change or remove an entry.
"""

import re
from typing import Any, Literal

import msgspec
from sqlalchemy import Row, and_, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.tables import audit_log
from tokenwatcher_server.kernel.ids import new_id

ActorKind = Literal["user", "key", "command", "visitor", "server"]
NOT_SHOWN = "(not shown)"
LONGEST_TEXT = 500
_SECRET = re.compile(r"(password|secret|hash|token|raw_?key|raw|authorization)\Z", re.IGNORECASE)


class Actor(msgspec.Struct, frozen=True):
    """Who did it, and from where.

    A visitor is somebody who is not signed in (yet); the server does by itself what was set.
    """

    kind: ActorKind
    name: str
    id: str | None = None
    address: str | None = None
    request_id: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to what.

    `before` and `after` are structs or mappings of what changed; a field that is named like a
    secret is never written. Without a workspace it concerns the instance.
    """

    action: str
    """What and how, in two words: `key.create`."""
    object_kind: str
    object_name: str
    object_id: str | None = None
    workspace_id: str | None = None
    before: object = None
    after: object = None


async def record(connection: AsyncConnection, actor: Actor, entry: Entry, now_us: int) -> None:
    """Write an entry, in the transaction of the change that it tells of."""
    await connection.execute(
        insert(audit_log).values(
            id=new_id(),
            at=now_us,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name[:200],
            address=None if actor.address is None else actor.address[:64],
            action=entry.action,
            object_kind=entry.object_kind,
            object_id=entry.object_id,
            object_name=entry.object_name[:300],
            workspace_id=entry.workspace_id,
            before=_json(entry.before),
            after=_json(entry.after),
            request_id=actor.request_id,
        )
    )


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are asked for, newest first."""

    workspaces: tuple[str, ...] | None
    """None for all, and for what concerns the instance."""
    start_us: int
    end_us: int
    action: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    actor: str | None = None
    """The actor's name."""
    before: tuple[int, str] | None = None
    """The instant and the id of the entry after which the page begins."""
    limit: int = 50


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it was written."""

    id: str
    at: int
    actor: Actor
    entry: Entry


async def find_entries(connection: AsyncConnection, question: Question) -> list[Written]:
    log = audit_log.c
    query = select(audit_log).where(log.at >= question.start_us, log.at < question.end_us)
    if question.workspaces is not None:
        query = query.where(log.workspace_id.in_(question.workspaces))
    for column, wanted in (
        (log.action, question.action),
        (log.object_kind, question.object_kind),
        (log.object_id, question.object_id),
        (log.actor_name, question.actor),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if question.before is not None:
        at, entry_id = question.before
        query = query.where(or_(log.at < at, and_(log.at == at, log.id < entry_id)))
    query = query.order_by(log.at.desc(), log.id.desc()).limit(question.limit)
    return [_written(row) for row in await connection.execute(query)]


def _written(row: Row[Any]) -> Written:
    return Written(
        id=row.id,
        at=row.at,
        actor=Actor(row.actor_kind, row.actor_name, row.actor_id, row.address, row.request_id),
        entry=Entry(
            action=row.action,
            object_kind=row.object_kind,
            object_name=row.object_name,
            object_id=row.object_id,
            workspace_id=row.workspace_id,
            before=None if row.before is None else msgspec.json.decode(row.before),
            after=None if row.after is None else msgspec.json.decode(row.after),
        ),
    )


def _json(value: object) -> str | None:
    if value is None:
        return None
    return msgspec.json.encode(_shown(msgspec.to_builtins(value))).decode()


def _shown(value: object) -> object:
    """The value without secrets, and without more text than anybody reads."""
    if isinstance(value, dict):
        return {
            str(name): NOT_SHOWN if _SECRET.search(str(name)) else _shown(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [_shown(part) for part in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}…"
    return value
