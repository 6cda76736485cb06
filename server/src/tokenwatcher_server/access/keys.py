"""API keys: made once, shown once, kept as SHA-256, verified on every request.

A raw key is `tw_live_` (or test, dev, read), 43 random base-62 characters (256 bits) and six
more that are a CRC32 of what stands before them, so that junk is told without a query and a
scanner can tell a real key from a lookalike.
"""

import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, get_args
from zlib import crc32

import msgspec
from sqlalchemy import case, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.control.tables import api_keys
from tokenwatcher_server.kernel.ids import KeyId, ProjectId, WorkspaceId, new_id

KeyKind = Literal["live", "test", "dev", "read"]
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
PREFIX_LENGTH = 16

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH, _CHECKSUM_LENGTH = 43, 6
_SHAPE = re.compile(r"(tw_(?:live|test|dev|read)_[0-9A-Za-z]{43})([0-9A-Za-z]{6})\Z")


class Key(msgspec.Struct, frozen=True):
    """A key that holds. `project_id` None means every project of the workspace."""

    id: KeyId
    workspace_id: WorkspaceId
    project_id: ProjectId | None
    kind: KeyKind
    expires_at: int | None = None


class KeyRecord(msgspec.Struct, frozen=True, rename="camel"):
    """What may be shown of a key: never the key itself or its hash."""

    id: KeyId
    name: str
    kind: KeyKind
    key_prefix: str
    workspace_id: WorkspaceId
    project_id: ProjectId | None
    created_at: int
    last_used_at: int | None
    revoked_at: int | None
    expires_at: int | None = None
    replaced_by: KeyId | None = None

    def ended_at(self, now_us: int) -> int | None:
        """When it was revoked or expired; None for a key that holds."""
        if self.revoked_at is None and self.expires_at is not None and self.expires_at <= now_us:
            return self.expires_at
        return self.revoked_at


class NewKey(msgspec.Struct, frozen=True):
    record: KeyRecord
    raw: str


def make_raw_key(kind: KeyKind) -> str:
    body = f"tw_{kind}_{_base62(secrets.randbelow(62**_RANDOM_LENGTH), _RANDOM_LENGTH)}"
    return body + _checksum(body)


def is_well_formed(raw: str) -> bool:
    """Whether this can be one of our keys at all; costs no query."""
    found = _SHAPE.match(raw)
    return found is not None and _checksum(found[1]) == found[2]


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _hash(raw: str) -> bytes:
    return sha256(raw.encode()).digest()


async def create_key(
    connection: AsyncConnection,
    *,
    workspace_id: WorkspaceId,
    project_id: ProjectId | None,
    name: str,
    kind: KeyKind,
    now_us: int,
    expires_at: int | None = None,
) -> NewKey:
    """Make a key; its raw form exists only in the answer."""
    raw = make_raw_key(kind)
    row = {
        "id": new_id(),
        "workspace_id": workspace_id,
        "project_id": project_id,
        "name": checked_name(name),
        "kind": kind,
        "prefix": raw[:PREFIX_LENGTH],
        "created_at": now_us,
        "revoked_at": None,
        "last_used_at": None,
        "expires_at": expires_at,
        "replaced_by": None,
    }
    await connection.execute(insert(api_keys).values(**row, hash=_hash(raw)))
    return NewKey(_record(row), raw)


async def list_keys(connection: AsyncConnection) -> list[KeyRecord]:
    """Every key, revoked ones too, newest first."""
    rows = await connection.execute(select(api_keys).order_by(api_keys.c.created_at.desc()))
    return [_record(row) for row in rows.mappings()]


async def find_key(connection: AsyncConnection, key_id: str) -> KeyRecord | None:
    row = (await connection.execute(select(api_keys).where(api_keys.c.id == key_id))).mappings()
    found = row.one_or_none()
    return None if found is None else _record(found)


async def rename_key(connection: AsyncConnection, key_id: str, name: str) -> None:
    await connection.execute(
        update(api_keys).where(api_keys.c.id == key_id).values(name=checked_name(name))
    )


async def revoke_key(connection: AsyncConnection, key_id: str, now_us: int) -> bool:
    """End a key for good; False where there is no such key that still holds."""
    done = await connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now_us)
    )
    return bool(done.rowcount)


async def end_later(
    connection: AsyncConnection, key_id: str, replaced_by: KeyId, expires_at: int
) -> None:
    """Let another key take its place from a time on, or at its own end if that comes first."""
    await connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id)
        .values(
            replaced_by=replaced_by,
            expires_at=case(
                (api_keys.c.expires_at < expires_at, api_keys.c.expires_at), else_=expires_at
            ),
        )
    )


async def count_holding(connection: AsyncConnection, workspace_id: WorkspaceId, now_us: int) -> int:
    """How many keys of a workspace hold."""
    query = select(func.count()).where(
        api_keys.c.workspace_id == workspace_id,
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now_us),
    )
    return int((await connection.execute(query)).scalar_one())


def _record(row: Mapping[Any, Any]) -> KeyRecord:
    return KeyRecord(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        key_prefix=row["prefix"],
        workspace_id=row["workspace_id"],
        project_id=row["project_id"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        expires_at=row["expires_at"],
        replaced_by=row["replaced_by"],
    )
