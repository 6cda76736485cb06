"""An event: one call to a model, as it is stored.

`Event` is a decoded call that knows its workspace and project. `PricedEvent` is the only thing
a store takes, so an event without scope, or whose price was never looked up, can't be stored.
"""

from typing import Literal

import msgspec

from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId

EventType = Literal["usage", "error"]
Status = Literal["success", "error"]
UsageQuality = Literal["final", "partial", "inconsistent", "estimated", "missing"]


class Event(msgspec.Struct, frozen=True, gc=False):
    """One call. Instants are microseconds since 1970 (UTC), durations are milliseconds."""

    id: str
    """The caller's idempotency key, or a UUIDv7 of ours."""
    content_digest: bytes
    """16 bytes over what the caller said; the same id with another digest is a conflict."""
    workspace_id: WorkspaceId
    project_id: ProjectId
    occurred_at: int
    received_at: int
    event_type: EventType
    status: Status
    provider: str
    model: str
    """The model that answered: the one that is priced."""
    tokens: Tokens
    usage_quality: UsageQuality
    requested_model: str | None = None
    service_tier: str | None = None
    requested_service_tier: str | None = None
    server_tool_calls: dict[str, int] = {}
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    streaming: bool | None = None
    user_id: str | None = None
    end_user_id: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    response_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    reported_cost: int | None = None
    """What the provider itself said it charged, in picodollars; kept beside our figure."""
    stated_cost: int | None = None
    """The client's own figure in picodollars; set only where the operator allows it."""
    prompt: str | None = None
    completion: str | None = None


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What an event costs, in picodollars, split as its tokens are.

    `total` is None for an unpriced event, and then `unpriced_reason` says why. Where it is an
    amount, it is the exact sum of `buckets` and `fees`.
    """

    total: int | None
    buckets: Tokens = Tokens()
    """Picodollars, not tokens, in the same twelve buckets."""
    fees: int | None = None
    """Per-call charges: searches, code execution, a price per request or per hour."""
    cache_savings: int | None = None
    """What the cached reads would have cost more at the uncached rate."""
    price_id: str | None = None
    """The id of the rate line that made this cost (see `pricing/rates.py`)."""
    price_match: str | None = None
    """The rule by which the model's name was matched to that price."""
    unpriced_reason: str | None = None


class PricedEvent(msgspec.Struct, frozen=True, gc=False):
    event: Event
    cost: Cost
