"""One event as clients send it: names, types and limits of the wire contract.

`inputTokens` and `outputTokens` are wholes; the other counts are parts within them. Unknown
fields are ignored, as newer clients may send more than this server knows.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=50_000_000)]
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]
Reference = Annotated[str, Meta(max_length=200)]
ModelName = Annotated[str, Meta(min_length=1, max_length=200)]
Tier = Annotated[str, Meta(max_length=50)]
Prose = Annotated[str, Meta(max_length=20_000)]
ProjectReference = Annotated[str, Meta(max_length=100)]
DollarText = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?\Z")]
TagKey = Annotated[str, Meta(min_length=1, max_length=60)]
Integer64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
TagValue = Annotated[str, Meta(max_length=300)] | Integer64 | float | bool | None
Tags = Annotated[dict[TagKey, TagValue], Meta(max_length=20)]
ToolCalls = Annotated[dict[TagKey, Annotated[int, Meta(ge=0, le=1_000_000)]], Meta(max_length=20)]


class WireEvent(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False
):
    """The fields in the order in which the SDK sends them, which is decoded fastest."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}\Z")] | None = None
    timestamp: datetime | None = None
    event_type: Literal["usage", "error"] | None = None
    status: Literal["success", "error"] | None = None
    provider: Annotated[str, Meta(min_length=1, max_length=50)]
    model: ModelName
    usage_quality: Literal["final", "partial", "inconsistent", "estimated", "missing"] | None = None
    requested_model: ModelName | None = None
    service_tier: Tier | None = None
    requested_service_tier: Tier | None = None
    latency_ms: Milliseconds | None = None
    time_to_first_token_ms: Milliseconds | None = None
    streaming: bool | None = None
    response_id: Reference | None = None
    request_id: Reference | None = None
    user_id: Reference | None = None
    end_user_id: Reference | None = None
    session_id: Reference | None = None
    trace_id: Reference | None = None
    span_id: Reference | None = None
    parent_span_id: Reference | None = None
    project_id: ProjectReference | None = None
    project_slug: ProjectReference | None = None
    server_tool_calls: ToolCalls | None = None
    reported_cost_usd: DollarText | float | None = None
    total_cost_usd: float | None = None
    tags: Tags | None = None
    metadata: Tags | None = None
    prompt: Prose | None = None
    completion: Prose | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_5m_tokens: Count | None = msgspec.field(default=None, name="cacheWrite5mTokens")
    cache_write_1h_tokens: Count | None = msgspec.field(default=None, name="cacheWrite1hTokens")
    reasoning_tokens: Count | None = None
    tool_prompt_tokens: Count | None = None
    audio_input_tokens: Count | None = None
    audio_output_tokens: Count | None = None
    image_input_tokens: Count | None = None
    error_type: Annotated[str, Meta(max_length=120)] | None = None
    error_message: Annotated[str, Meta(max_length=1000)] | None = None


KNOWN_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(WireEvent))


class WireBatch(msgspec.Struct, frozen=True, gc=False):
    events: list[WireEvent]


class RawBatch(msgspec.Struct, frozen=True):
    """A batch whose events are not looked into yet, so that each can be judged by itself."""

    events: list[msgspec.Raw]
