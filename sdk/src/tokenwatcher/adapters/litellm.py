"""LiteLLM: `litellm.callbacks = [TokenWatcherLogger()]`."""

from __future__ import annotations

from typing import Any

from litellm.integrations.custom_logger import CustomLogger

import tokenwatcher.default as default
from tokenwatcher.client import TokenWatcher


class TokenWatcherLogger(CustomLogger):  # type: ignore[misc]  # untyped where it is not installed
    """Records every call that LiteLLM makes; without a client, by that of `tokenwatcher.init`.

    `metadata={"tags": {...}}` of a call become tags. An answer out of LiteLLM's own cache was
    not paid for, and is not recorded.
    """

    def __init__(self, client: TokenWatcher | None = None) -> None:
        super().__init__()
        self._client = client

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record an answer of a synchronous call."""
        if kwargs.get("cache_hit"):
            return
        usage = getattr(response_obj, "usage", None)
        asked = getattr(usage, "prompt_tokens_details", None)
        answered = getattr(usage, "completion_tokens_details", None)
        first = kwargs.get("completion_start_time")
        streaming = bool(kwargs.get("stream"))
        self._watcher().track_manual(
            _provider(kwargs),
            str(getattr(response_obj, "model", None) or kwargs.get("model") or "unknown"),
            getattr(usage, "prompt_tokens", None),
            getattr(usage, "completion_tokens", None),
            cache_read_tokens=getattr(asked, "cached_tokens", None),
            cache_write_tokens=getattr(usage, "cache_creation_input_tokens", None) or None,
            reasoning_tokens=getattr(answered, "reasoning_tokens", None),
            audio_input_tokens=getattr(asked, "audio_tokens", None),
            audio_output_tokens=getattr(answered, "audio_tokens", None),
            requested_model=kwargs.get("model"),
            response_id=getattr(response_obj, "id", None),
            latency_ms=_milliseconds(start_time, end_time),
            time_to_first_token_ms=_milliseconds(start_time, first) if streaming else None,
            streaming=streaming,
            timestamp=start_time,
            tags=_tags(kwargs),
            user_id=kwargs.get("user"),
        )

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record a synchronous call that failed."""
        self._watcher().track_error(
            _provider(kwargs),
            str(kwargs.get("model") or "unknown"),
            kwargs.get("exception") or "the call failed",
            latency_ms=_milliseconds(start_time, end_time),
            timestamp=start_time,
            tags=_tags(kwargs),
            user_id=kwargs.get("user"),
        )

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record an answer of an asynchronous call."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record an asynchronous call that failed."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)

    def _watcher(self) -> TokenWatcher:
        return self._client or default.current()


def _provider(kwargs: dict[str, Any]) -> str:
    parameters = kwargs.get("litellm_params") or {}
    return str(
        kwargs.get("custom_llm_provider") or parameters.get("custom_llm_provider") or "unknown"
    )


def _tags(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    metadata = (kwargs.get("litellm_params") or {}).get("metadata") or {}
    tags = metadata.get("tags")
    return tags if isinstance(tags, dict) else None


def _milliseconds(start: Any, end: Any) -> float | None:
    try:
        return float((end - start).total_seconds() * 1000)
    except (TypeError, AttributeError):
        return None
