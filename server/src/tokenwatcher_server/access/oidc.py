"""People whom an OpenID Connect provider vouches for, and the roles that their groups give.

An identity is the provider's name for somebody (issuer and subject), never an e-mail address or
a username: an account that was made here is never taken over by one of the provider's.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from typing import get_args

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access import members, people
from tokenwatcher_server.access.people import Person
from tokenwatcher_server.access.roles import ROLES, Role
from tokenwatcher_server.access.users import USER_COLUMNS, User, find_user
from tokenwatcher_server.access.workspaces import DEFAULT, find_workspace
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.tables import oidc_identities, users
from tokenwatcher_server.kernel.clock import MICROSECONDS
from tokenwatcher_server.kernel.errors import AppError, Kind

REQUEST_SECONDS = 600
EVERYBODY = "*"
INSTANCE = "instance"


class GroupRole(msgspec.Struct, frozen=True):
    """What a group gives: a role in a workspace (by its slug), or the instance where it is None."""

    group: str
    workspace: str | None
    role: Role


class Identity(msgspec.Struct, frozen=True):
    """Who somebody is, as the provider says and signed."""

    issuer: str
    subject: str
    username: str
    groups: frozenset[str]


class SignInRequest(msgspec.Struct, frozen=True):
    """What a browser keeps while its person is at the provider; only it can finish the sign-in."""

    state: str
    nonce: str
    verifier: str
    next: str
    expires_at: int


def new_request(next_path: str, now_us: int) -> SignInRequest:
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    expires_at = now_us + REQUEST_SECONDS * MICROSECONDS
    return SignInRequest(state, nonce, verifier, next_path, expires_at)


def seal(secret: bytes, request: SignInRequest) -> str:
    """The request as a cookie's value, signed."""
    content = urlsafe_b64encode(msgspec.json.encode(request)).rstrip(b"=")  # cookies quote it
    return f"{content.decode()}.{_signature(secret, content)}"


def unseal(secret: bytes, sealed: str, now_us: int) -> SignInRequest | None:
    """The request that was sealed here, None for anything else and for one that is too old."""
    content, _, signature = sealed.encode("utf-8", "surrogatepass").partition(b".")
    if not hmac.compare_digest(signature, _signature(secret, content).encode()):
        return None
    request = msgspec.json.decode(urlsafe_b64decode(content + b"=="), type=SignInRequest)
    return request if request.expires_at > now_us else None


def _signature(secret: bytes, content: bytes) -> str:
    return hmac.new(secret, b"oidc\0" + content, sha256).hexdigest()


def parse_group_roles(entries: Iterable[str]) -> tuple[GroupRole, ...]:
    """Read `GROUP=ROLE`, `GROUP=WORKSPACE:ROLE` and `GROUP=instance`; raises ValueError."""
    return tuple(_group_role(entry) for entry in entries)


def _group_role(entry: str) -> GroupRole:
    group, _, given = entry.rpartition("=")
    workspace, _, role = given.rpartition(":")
    if not group.strip() or (role != INSTANCE and role not in get_args(Role)):
        raise ValueError(
            f"{entry[:100]!r} is no group with a role; write it like engineering=member, "
            "finance=billing:viewer or platform=instance"
        )
    if role == INSTANCE:
        return GroupRole(group.strip(), None, "owner")
    return GroupRole(
        group.strip(), workspace.strip() or DEFAULT, next(r for r in ROLES if r == role)
    )


async def user_for(
    connection: AsyncConnection,
    visitor: Actor,
    identity: Identity,
    mapping: tuple[GroupRole, ...],
    now_us: int,
) -> User:
    """The user of an identity, made at the first sign-in, with the roles that the groups give now.

    Raises AppError (403) for somebody new to whom the mapping gives nothing.
    """
    given = tuple(one for one in mapping if one.group in identity.groups | {EVERYBODY})
    user = await _known(connection, identity)
    if user is None:
        if mapping and not given:
            raise AppError(
                Kind.FORBIDDEN, "NO_ROLE", "None of your groups has a role here; ask for one."
            )
        user = await _make(connection, visitor, identity, now_us)
    actor = Actor("user", user.username, user.id, visitor.address, visitor.request_id)
    user = await _give_instance(connection, actor, user, mapping, given, now_us)
    for slug in dict.fromkeys(one.workspace for one in mapping if one.workspace is not None):
        roles = [one.role for one in given if one.workspace == slug]
        await _give_role(connection, actor, user, slug, _highest(roles), now_us)
    return user


async def _known(connection: AsyncConnection, identity: Identity) -> User | None:
    query = (
        select(*USER_COLUMNS)
        .join(oidc_identities, oidc_identities.c.user_id == users.c.id)
        .where(
            oidc_identities.c.issuer == identity.issuer,
            oidc_identities.c.subject == identity.subject,
        )
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else User(*row)


async def _make(
    connection: AsyncConnection, visitor: Actor, identity: Identity, now_us: int
) -> User:
    username, number = identity.username, 2
    while await find_user(connection, username) is not None:
        username, number = f"{identity.username}-{number}", number + 1
    user = await people.add_person(connection, visitor, Person(username, ""), {}, now_us)
    await connection.execute(
        insert(oidc_identities).values(
            issuer=identity.issuer, subject=identity.subject, user_id=user.id, created_at=now_us
        )
    )
    return user


async def _give_instance(
    connection: AsyncConnection,
    actor: Actor,
    user: User,
    mapping: tuple[GroupRole, ...],
    given: tuple[GroupRole, ...],
    now_us: int,
) -> User:
    """Where the mapping names a group that owns the instance, being in it is what counts."""
    owns = any(one.workspace is None for one in given)
    decided = any(one.workspace is None for one in mapping)
    if not decided or owns == user.owns_instance:
        return user
    await connection.execute(update(users).where(users.c.id == user.id).values(owns_instance=owns))
    entry = Entry(
        action="user.change",
        object_kind="user",
        object_name=user.username,
        object_id=user.id,
        before={"ownsInstance": user.owns_instance},
        after={"ownsInstance": owns},
    )
    await record(connection, actor, entry, now_us)
    return msgspec.structs.replace(user, owns_instance=owns)


async def _give_role(
    connection: AsyncConnection, actor: Actor, user: User, slug: str, role: Role | None, now_us: int
) -> None:
    """Bring a membership to what the groups say; a workspace that is not there gives nothing."""
    workspace = await find_workspace(connection, slug)
    if workspace is None:
        return
    member = await members.find_member(connection, workspace.id, user.id)
    with suppress(AppError):  # the last owner of a workspace stays one
        if member is None and role is not None:
            await people.admit(connection, actor, workspace.id, user, role, now_us)
        elif member is not None and role is None:
            await people.let_go(connection, actor, member, now_us)
        elif member is not None and role is not None and member.role != role:
            await people.give_role(connection, actor, member, role, now_us)


def _highest(roles: list[Role]) -> Role | None:
    return next((one for one in ROLES if one in roles), None) if roles else None
