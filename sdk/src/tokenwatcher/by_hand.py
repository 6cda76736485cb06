"""What `track_manual` and `track_error` take by name, for those that hand it on."""

from __future__ import annotations

from datetime import datetime

from tokenwatcher.event import OpenFacts, Who
from tokenwatcher.usage.reading import Quality


class ManualFacts(OpenFacts, total=False):
    """A call whose numbers the app has, beside its input and its output."""

    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    tool_prompt_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    image_input_tokens: int | None
    usage_quality: Quality | None
    latency_ms: float | None
    time_to_first_token_ms: float | None
    streaming: bool | None
    response_id: str | None
    requested_model: str | None
    requested_service_tier: str | None
    server_tool_calls: dict[str, int] | None
    reported_cost_usd: str | None
    total_cost_usd: float | None
    timestamp: datetime | float | None
    event_id: str | None
    project_slug: str | None
    prompt: str | None
    completion: str | None


class ErrorFacts(Who, total=False):
    """A call that failed."""

    error_type: str | None
    latency_ms: float | None
    timestamp: datetime | float | None
    event_id: str | None
    project_slug: str | None
