"""Which workspace and project an event belongs to: the key decides, the event may only choose.

A project key writes to its project alone. A workspace key writes to the project that the event
names within the workspace, else to the workspace's `default` project.
"""

from collections.abc import Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Protocol

import msgspec

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.ingest.decode import Decoded, canonical_form
from tokenwatcher_server.ingest.rules import instant_of
from tokenwatcher_server.ingest.secrets import mask_credentials
from tokenwatcher_server.ingest.wire import TagValue, WireEvent
from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId, new_id
from tokenwatcher_server.kernel.money import PICODOLLARS_PER_USD

_NO_DIGEST = bytes(16)
_tag_encoder = msgspec.json.Encoder()


class Projects(Protocol):
    async def find(self, workspace_id: WorkspaceId, reference: str) -> ProjectId | None:
        """The workspace's project with this id or slug, None where it has none."""
        ...


class Writer(msgspec.Struct, frozen=True):
    """What a key may write to. `project_id` None means any project of the workspace."""

    workspace_id: WorkspaceId
    project_id: ProjectId | None


class Policy(msgspec.Struct, frozen=True):
    """What the operator lets clients send."""

    store_prompts: bool
    allow_cost_override: bool


async def choose_projects(
    events: Sequence[WireEvent], writer: Writer, projects: Projects, *, single: bool
) -> list[ProjectId]:
    """The project of each event; raises AppError naming every event whose project is unknown."""
    if writer.project_id is not None:
        return [writer.project_id] * len(events)
    known: dict[tuple[str | None, str | None], ProjectId | Issue] = {}
    chosen: list[ProjectId] = []
    issues: list[Issue] = []
    for position, event in enumerate(events):
        named = (event.project_id, event.project_slug)
        if named not in known:
            known[named] = await _choose(named, writer.workspace_id, projects)
        found = known[named]
        if isinstance(found, Issue):
            path = found.path if single else f"events[{position}].{found.path}"
            issues.append(Issue(path, found.message))
        else:
            chosen.append(found)
    if issues:
        raise invalid("A project is not in the key's workspace; nothing was stored.", *issues)
    return chosen


async def _choose(
    named: tuple[str | None, str | None], workspace_id: WorkspaceId, projects: Projects
) -> ProjectId | Issue:
    project_id, slug = named
    by_id = await projects.find(workspace_id, project_id) if project_id else None
    by_slug = await projects.find(workspace_id, slug) if slug else None
    if project_id and by_id is None:
        return Issue("projectId", "names no project of this key's workspace")
    if slug and by_slug is None:
        return Issue("projectSlug", "names no project of this key's workspace")
    if by_id and by_slug and by_id != by_slug:
        return Issue("projectSlug", "names another project than projectId")
    found = by_id or by_slug or await projects.find(workspace_id, "default")
    return found or Issue("projectSlug", "is required: the workspace has no default project")


def scope(
    decoded: Decoded,
    project_ids: Sequence[ProjectId],
    workspace_id: WorkspaceId,
    policy: Policy,
    now_us: int,
) -> list[Event]:
    """Turn wire events into events of their projects, with the defaults filled in."""
    columns = (decoded.events, decoded.tokens, decoded.canonical, project_ids)
    return [
        _scoped(event, tokens, canonical, project_id, workspace_id, policy, now_us)
        for event, tokens, canonical, project_id in zip(*columns, strict=True)
    ]


def _scoped(
    wire: WireEvent,
    tokens: Tokens,
    canonical: bytes,
    project_id: ProjectId,
    workspace_id: WorkspaceId,
    policy: Policy,
    now_us: int,
) -> Event:
    if not policy.store_prompts and (wire.prompt is not None or wire.completion is not None):
        wire = msgspec.structs.replace(wire, prompt=None, completion=None)
        canonical = canonical_form(wire)
    event_type = wire.event_type or "usage"
    return Event(
        id=wire.id or new_id(),
        content_digest=_digest(canonical, project_id) if wire.id else _NO_DIGEST,
        workspace_id=workspace_id,
        project_id=project_id,
        occurred_at=now_us if wire.timestamp is None else instant_of(wire) or 0,
        received_at=now_us,
        event_type=event_type,
        status=wire.status or ("error" if event_type == "error" else "success"),
        provider=wire.provider,
        model=wire.model,
        tokens=tokens,
        usage_quality=wire.usage_quality or "final",
        requested_model=wire.requested_model,
        service_tier=wire.service_tier,
        requested_service_tier=wire.requested_service_tier,
        server_tool_calls=wire.server_tool_calls or {},
        latency_ms=wire.latency_ms,
        time_to_first_token_ms=wire.time_to_first_token_ms,
        streaming=wire.streaming,
        user_id=wire.user_id,
        end_user_id=wire.end_user_id,
        session_id=wire.session_id,
        request_id=wire.request_id,
        response_id=wire.response_id,
        trace_id=wire.trace_id,
        span_id=wire.span_id,
        parent_span_id=wire.parent_span_id,
        error_type=wire.error_type,
        error_message=mask_credentials(wire.error_message) if wire.error_message else None,
        tags=_texts(wire.tags) if wire.tags else {},
        metadata=_texts(wire.metadata) if wire.metadata else {},
        reported_cost=_amount(wire.reported_cost_usd),
        stated_cost=_amount(wire.total_cost_usd) if policy.allow_cost_override else None,
        prompt=wire.prompt,
        completion=wire.completion,
    )


def _digest(canonical: bytes, project_id: ProjectId) -> bytes:
    return blake2b(canonical, digest_size=16, key=project_id.encode()[:64]).digest()


def _texts(values: dict[str, TagValue]) -> dict[str, str]:
    """Tags are text; numbers and booleans become their JSON text, a null is no tag."""
    return {
        key: value if isinstance(value, str) else _tag_encoder.encode(value).decode()
        for key, value in values.items()
        if value is not None
    }


def _amount(usd: Decimal | None) -> int | None:
    """Round an amount to whole picodollars: providers send figures finer than that."""
    return None if usd is None else round(usd * PICODOLLARS_PER_USD)
