"""What people do with keys: each change with its entry in the audit log, in one transaction."""

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access import keys
from tokenwatcher_server.access.keys import KeyKind, KeyRecord, NewKey
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US, iso
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId

MOST_KEYS = 1000
"""That hold in one workspace: more are a mistake in a script."""
MOST_DAYS = 3650
MOST_OVERLAP_HOURS = 90 * 24
USUAL_OVERLAP_HOURS = 24


async def make(
    connection: AsyncConnection,
    actor: Actor,
    *,
    workspace_id: WorkspaceId,
    project_id: ProjectId | None,
    name: str,
    kind: KeyKind,
    now_us: int,
    expires_in_days: int | None = None,
) -> NewKey:
    """Make a key; raises AppError (409) where the workspace has too many."""
    if await keys.count_holding(connection, workspace_id, now_us) >= MOST_KEYS:
        raise AppError(
            Kind.CONFLICT,
            "TOO_MANY_KEYS",
            f"This workspace has {MOST_KEYS} keys in use; revoke some first.",
        )
    made = await keys.create_key(
        connection,
        workspace_id=workspace_id,
        project_id=project_id,
        name=name,
        kind=kind,
        now_us=now_us,
        expires_at=None if expires_in_days is None else now_us + expires_in_days * DAY_US,
    )
    await record(
        connection, actor, _entry("create", made.record, after=_facts(made.record)), now_us
    )
    return made


async def rename(
    connection: AsyncConnection, actor: Actor, key: KeyRecord, name: str, now_us: int
) -> None:
    await keys.rename_key(connection, key.id, name)
    entry = _entry("rename", key, before={"name": key.name}, after={"name": name})
    await record(connection, actor, entry, now_us)


async def revoke(connection: AsyncConnection, actor: Actor, key: KeyRecord, now_us: int) -> bool:
    """End a key for good; False, and no entry, for one that was revoked before."""
    done = await keys.revoke_key(connection, key.id, now_us)
    if done:
        await record(connection, actor, _entry("revoke", key, before=_facts(key)), now_us)
    return done


async def rotate(
    connection: AsyncConnection, actor: Actor, key: KeyRecord, overlap_hours: int, now_us: int
) -> NewKey:
    """Make a key like this one, which still holds for the overlap; with none it ends at once.

    One that expires gets a successor that holds for as long. Raises AppError (409) for a key
    that has ended, or has a successor already.
    """
    if key.ended_at(now_us) is not None or key.replaced_by is not None:
        raise AppError(
            Kind.CONFLICT, "KEY_ENDED", "This key has ended or is replaced already; make a new one."
        )
    lifetime = None if key.expires_at is None else key.expires_at - key.created_at
    made = await keys.create_key(
        connection,
        workspace_id=key.workspace_id,
        project_id=key.project_id,
        name=key.name,
        kind=key.kind,
        now_us=now_us,
        expires_at=None if lifetime is None else now_us + lifetime,
    )
    ends_at = now_us + overlap_hours * HOUR_US
    await keys.end_later(connection, key.id, made.record.id, ends_at)
    if not overlap_hours:
        await keys.revoke_key(connection, key.id, now_us)
    after = {"replacedBy": made.record.id, "endsAt": iso(ends_at)}
    await record(connection, actor, _entry("rotate", key, after=after), now_us)
    return made


_Action = Literal["create", "rename", "revoke", "rotate"]


def _entry(action: _Action, key: KeyRecord, before: object = None, after: object = None) -> Entry:
    return Entry(
        action=f"key.{action}",
        object_kind="key",
        object_id=key.id,
        object_name=f"{key.name} ({key.key_prefix}…)",
        workspace_id=key.workspace_id,
        before=before,
        after=after,
    )


def _facts(key: KeyRecord) -> object:
    return {
        "name": key.name,
        "kind": key.kind,
        "projectId": key.project_id,
        "expiresAt": None if key.expires_at is None else iso(key.expires_at),
    }
