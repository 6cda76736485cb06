"""Which workspace and project an event belongs to: the key decides, the event may only choose.

A project key writes to its project alone. A workspace key writes to the project that the event
names within the workspace, else to the workspace's `default` project.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.ingest.decode import Decoded, canonical_form
from tokenwatcher_server.ingest.rules import dollars
from tokenwatcher_server.ingest.wire import TagValue, WireEvent
from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId, new_id
from tokenwatcher_server.kernel.money import PICODOLLARS_PER_USD
from tokenwatcher_server.observability.credentials import mask_credentials

DIGEST_BYTES = 16
_NO_DIGEST = bytes(DIGEST_BYTES)
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
    events, canonical = decoded.events, decoded.canonical
    if not policy.store_prompts:
        events, canonical = _without_prompts(events, canonical)
    digests = _digests(events, canonical, project_ids)
    columns = (events, decoded.tokens, decoded.occurred_at, digests, project_ids)
    return [
        _scoped(*of_event, workspace_id, now_us, keep_stated_cost=policy.allow_cost_override)
        for of_event in zip(*columns, strict=True)
    ]


def _without_prompts(
    events: list[WireEvent], canonical: list[bytes]
) -> tuple[list[WireEvent], list[bytes]]:
    if all(event.prompt is None and event.completion is None for event in events):
        return events, canonical
    stripped = [msgspec.structs.replace(each, prompt=None, completion=None) for each in events]
    return stripped, list(map(canonical_form, stripped))


def _digests(
    events: Sequence[WireEvent], canonical: Sequence[bytes], project_ids: Sequence[ProjectId]
) -> list[bytes]:
    """What tells a retry from another event of the same id: what was said, and its project.

    An event without an id of its own can't be told from a retry, so it needs none.
    """
    begun = {each: blake2b(each.encode(), digest_size=DIGEST_BYTES) for each in set(project_ids)}
    digests = []
    for event, said, project_id in zip(events, canonical, project_ids, strict=True):
        digest = begun[project_id].copy()
        digest.update(said)
        digests.append(digest.digest() if event.id else _NO_DIGEST)
    return digests


def _scoped(
    wire: WireEvent,
    tokens: Tokens,
    occurred_at: int,
    content_digest: bytes,
    project_id: ProjectId,
    workspace_id: WorkspaceId,
    received_at: int,
    *,
    keep_stated_cost: bool,
) -> Event:
    # by position, as naming 37 fields would take four times as long
    event_type = wire.event_type or "usage"
    return Event(
        wire.id or new_id(),
        content_digest,
        workspace_id,
        project_id,
        occurred_at,
        received_at,
        event_type,
        wire.status or ("error" if event_type == "error" else "success"),
        wire.provider,
        wire.model,
        tokens,
        wire.usage_quality or "final",
        wire.requested_model,
        wire.service_tier,
        wire.requested_service_tier,
        wire.server_tool_calls or {},
        wire.latency_ms,
        wire.time_to_first_token_ms,
        wire.streaming,
        wire.user_id,
        wire.end_user_id,
        wire.session_id,
        wire.request_id,
        wire.response_id,
        wire.trace_id,
        wire.span_id,
        wire.parent_span_id,
        wire.error_type,
        mask_credentials(wire.error_message) if wire.error_message else None,
        _texts(wire.tags) if wire.tags else {},
        _texts(wire.metadata) if wire.metadata else {},
        _amount(wire.reported_cost_usd),
        _amount(wire.total_cost_usd) if keep_stated_cost else None,
        wire.prompt,
        wire.completion,
    )


def _texts(values: dict[str, TagValue]) -> dict[str, str]:
    """Tags are text; numbers and booleans become their JSON text, a null is no tag."""
    if all([type(value) is str for value in values.values()]):  # noqa: C419 - twice as fast
        return values  # type: ignore[return-value]
    return {
        key: value if isinstance(value, str) else _tag_encoder.encode(value).decode()
        for key, value in values.items()
        if value is not None
    }


def _amount(usd: str | float | None) -> int | None:
    """Round an amount to whole picodollars: providers send figures finer than that."""
    return None if usd is None else round(dollars(usd) * PICODOLLARS_PER_USD)
