"""LlamaIndex: `get_dispatcher().add_event_handler(TokenWatcherHandler())`."""

from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)

import tokenwatcher.default as default
from tokenwatcher.client import TokenWatcher
from tokenwatcher.open_call import OpenCall


class TokenWatcherHandler(BaseEventHandler):  # type: ignore[misc]  # as above
    """Records every model call; without a client, by that of `tokenwatcher.init`.

    Counts are read from the provider's own answer, which LlamaIndex keeps as `raw`.
    """

    _client: TokenWatcher | None = PrivateAttr(default=None)
    _open: dict[str, OpenCall] = PrivateAttr(default_factory=dict)

    def __init__(self, client: TokenWatcher | None = None) -> None:
        super().__init__()
        self._client = client

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex knows the handler by."""
        return "TokenWatcherHandler"

    def handle(self, event: Any, **_: Any) -> None:
        """Take note of the beginning and the end of a call."""
        if isinstance(event, (LLMChatStartEvent, LLMCompletionStartEvent)):
            asked = event.model_dict
            provider = str(asked.get("class_name") or "unknown").removesuffix("_llm").lower()
            model = str(asked.get("model") or asked.get("model_name") or "unknown")
            watcher = self._client or default.current()
            self._open[str(event.span_id)] = watcher.call(provider, model).__enter__()
        elif isinstance(event, (LLMChatEndEvent, LLMCompletionEndEvent)):
            call = self._open.pop(str(event.span_id), None)
            if call is not None:
                raw = getattr(event.response, "raw", None)
                if raw is not None:
                    call.answer(raw)
                call.__exit__(None, None, None)
