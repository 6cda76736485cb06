"""LangChain: `model.invoke(..., config={"callbacks": [TokenWatcherCallback()]})`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

import tokenwatcher.default as default
from tokenwatcher.client import TokenWatcher
from tokenwatcher.open_call import OpenCall


class TokenWatcherCallback(BaseCallbackHandler):  # type: ignore[misc]  # as above
    """Records every model call of a chain; without a client, by that of `tokenwatcher.init`."""

    def __init__(self, client: TokenWatcher | None = None) -> None:
        self._client = client
        self._open: dict[UUID, OpenCall] = {}

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Begin a call of a chat model."""
        self._begin(run_id, kwargs)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Begin a call of a completion model."""
        self._begin(run_id, kwargs)

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Record what the call used."""
        call = self._open.pop(run_id, None)
        if call is None:
            return
        message = _message(response)
        usage = getattr(message, "usage_metadata", None)
        told = getattr(message, "response_metadata", None) or {}
        if usage:
            asked = usage.get("input_token_details") or {}
            answered = usage.get("output_token_details") or {}
            call.usage(
                usage.get("input_tokens"),
                usage.get("output_tokens"),
                model=told.get("model_name") or told.get("model"),
                response_id=told.get("id"),
                service_tier=told.get("service_tier"),
                cache_read_tokens=asked.get("cache_read"),
                cache_write_tokens=asked.get("cache_creation"),
                audio_input_tokens=asked.get("audio"),
                reasoning_tokens=answered.get("reasoning"),
                audio_output_tokens=answered.get("audio"),
            )
        call.__exit__(None, None, None)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record a call that failed."""
        call = self._open.pop(run_id, None)
        if call is not None:
            call.__exit__(type(error), error, None)

    def _begin(self, run_id: UUID, kwargs: dict[str, Any]) -> None:
        metadata = kwargs.get("metadata") or {}
        watcher = self._client or default.current()
        provider = str(metadata.get("ls_provider") or "unknown")
        model = str(metadata.get("ls_model_name") or "unknown")
        self._open[run_id] = watcher.call(provider, model).__enter__()


def _message(response: Any) -> Any:
    """The first answer's message; the others of a batch have runs of their own."""
    for generations in getattr(response, "generations", ()):
        for generation in generations:
            return getattr(generation, "message", None)
    return None
