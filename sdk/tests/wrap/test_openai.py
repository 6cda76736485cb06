"""OpenAI's own library, wrapped: every way to call it is recorded, and nothing it gives changes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tokenwatcher.testing import CapturedUsage

ANSWER = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hé."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
}
ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def client(provider: Any, captured: CapturedUsage) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-made-up", base_url=provider.url, max_retries=0) as client:
        yield captured.client.wrap(client, provider="openai")


def test_wrapped_client_is_the_client_itself(
    client: openai.OpenAI, captured: CapturedUsage
) -> None:
    assert type(client) is openai.OpenAI
    assert captured.client.wrap(client) is client


def test_answer_is_recorded(provider: Any, client: openai.OpenAI, captured: CapturedUsage) -> None:
    provider.says(ANSWER)
    answer = client.chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "Hé."
    event = captured.event
    assert (event["provider"], event["model"]) == ("openai", "gpt-4o-2024-08-06")
    assert (event["requestedModel"], event["responseId"]) == ("gpt-4o", "chatcmpl-0123456789abcdef")
    assert (event["inputTokens"], event["outputTokens"]) == (5, 6)


def test_asynchronous_client_is_recorded(provider: Any, captured: CapturedUsage) -> None:
    provider.says(ANSWER)

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=provider.url) as plain:
            client = captured.client.wrap(plain)
            assert (await client.chat.completions.create(**ASKED)).id == ANSWER["id"]

    asyncio.run(main())
    assert captured.event["outputTokens"] == 6


def test_client_made_from_a_wrapped_one_is_wrapped(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says(ANSWER)
    client.with_options(timeout=3).copy(max_retries=1).chat.completions.create(**ASKED)
    assert captured.event["inputTokens"] == 5


def test_client_of_an_unknown_kind_is_a_clear_error(captured: CapturedUsage) -> None:
    with pytest.raises(TypeError, match=r"builtins.dict .* can be: .*anthropic.*openai"):
        captured.client.wrap({})


def test_instrumented_and_wrapped_client_counts_once(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says(ANSWER)
    captured.client.instrument()
    captured.client.instrument()
    try:
        later = captured.client.wrap(openai.OpenAI(api_key="k", base_url=provider.url))
        unwrapped = openai.OpenAI(api_key="k", base_url=provider.url)
        for one in (client, later, unwrapped):
            one.chat.completions.create(**ASKED)
    finally:
        captured.client.uninstrument()
    assert len(captured.events) == 3
    unwrapped.chat.completions.create(**ASKED)
    assert len(captured.events) == 3
    later.close()
    unwrapped.close()
