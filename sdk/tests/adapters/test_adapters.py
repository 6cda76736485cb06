"""Frameworks that call models themselves: their callbacks record each call once, exactly."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback

from tokenwatcher.adapters.langchain import TokenWatcherCallback
from tokenwatcher.adapters.litellm import TokenWatcherLogger
from tokenwatcher.adapters.llama_index import TokenWatcherHandler
from tokenwatcher.testing import CapturedUsage, captured_usage

ASKED = [{"role": "user", "content": "hi"}]
RAW = {
    "id": "chatcmpl-llama-index",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
}


def soon(condition: Callable[[], bool]) -> None:
    """Callbacks of LiteLLM come from a thread of its own."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def lite() -> Iterator[CapturedUsage]:
    """LiteLLM keeps the callbacks it has seen, so all tests share one."""
    with captured_usage() as usage:
        litellm.callbacks = [TokenWatcherLogger(usage.client)]
        yield usage


def of_model(usage: CapturedUsage, model: str) -> dict[str, Any]:
    """The one event of a model, once it has come."""
    soon(lambda: any(event["model"] == model for event in usage.events))
    [event] = [event for event in usage.events if event["model"] == model]
    return event


def test_litellm_records_a_call_with_its_provider_and_tags(lite: CapturedUsage) -> None:
    answer = litellm.completion(
        model="anthropic/claude-sonnet-4-5", messages=ASKED, mock_response="hello", user="u1",
        metadata={"tags": {"feature": "chat"}},
    )  # fmt: skip
    event = of_model(lite, "claude-sonnet-4-5")
    assert event["provider"] == "anthropic"
    assert event["inputTokens"] == answer.usage.prompt_tokens
    assert event["outputTokens"] == answer.usage.completion_tokens
    assert (event["tags"], event["userId"]) == ({"feature": "chat"}, "u1")
    assert event["responseId"] == answer.id
    assert "hello" not in str(event)


def test_litellm_records_a_stream_when_it_has_ended(lite: CapturedUsage) -> None:
    pieces = litellm.completion(
        model="openai/gpt-4o", messages=ASKED, mock_response="hello", stream=True
    )
    assert len(list(pieces)) > 1
    assert of_model(lite, "gpt-4o")["streaming"] is True


def test_litellm_records_an_asynchronous_call(lite: CapturedUsage) -> None:
    async def ask() -> None:
        await litellm.acompletion(model="openai/gpt-4.1", messages=ASKED, mock_response="hello")
        await asyncio.sleep(0.5)

    asyncio.run(ask())
    assert of_model(lite, "gpt-4.1")["streaming"] is False


def test_litellm_records_a_failure(lite: CapturedUsage) -> None:
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(
            model="openai/o3", messages=ASKED, mock_response="litellm.RateLimitError"
        )
    event = of_model(lite, "o3")
    assert (event["eventType"], event["errorType"]) == ("error", "RateLimitError")


def test_langchain_records_what_the_message_says_it_used(captured: CapturedUsage) -> None:
    message = AIMessage(
        content="hello",
        usage_metadata={
            "input_tokens": 20, "output_tokens": 7, "total_tokens": 27,
            "input_token_details": {"cache_read": 8},
            "output_token_details": {"reasoning": 3},
        },
        response_metadata={"model_name": "gpt-4o-2024-08-06", "id": "chatcmpl-langchain"},
    )  # fmt: skip
    model = GenericFakeChatModel(messages=iter([message]))
    model.invoke("hi", config={"callbacks": [TokenWatcherCallback(captured.client)]})
    event = captured.event
    assert event["model"] == "gpt-4o-2024-08-06"
    assert (event["inputTokens"], event["outputTokens"]) == (20, 7)
    assert (event["cacheReadTokens"], event["reasoningTokens"]) == (8, 3)
    assert event["responseId"] == "chatcmpl-langchain"


def test_langchain_records_a_failure(captured: CapturedUsage) -> None:
    model = GenericFakeChatModel(messages=iter([]))
    with pytest.raises((StopIteration, RuntimeError)):
        model.invoke("hi", config={"callbacks": [TokenWatcherCallback(captured.client)]})
    assert captured.event["eventType"] == "error"


class Model(CustomLLM):  # type: ignore[misc]  # untyped where it is not installed
    """A model that answers as a provider's client would have."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="gpt-4o")

    @llm_completion_callback()  # type: ignore[untyped-decorator]
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text="hello", raw=RAW)

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        yield self.complete(prompt)


def test_llama_index_records_the_providers_own_answer_once(captured: CapturedUsage) -> None:
    handler = TokenWatcherHandler(captured.client)
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    try:
        assert Model().complete("hi").text == "hello"
    finally:
        dispatcher.event_handlers.remove(handler)
    event = captured.event
    assert (event["inputTokens"], event["outputTokens"]) == (12, 5)
    assert event["model"] == "gpt-4o-2024-08-06"
