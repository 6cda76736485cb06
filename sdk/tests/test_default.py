"""The functions of the package: one client for the process, that never breaks the app."""

import asyncio
import inspect
import json
from collections.abc import Iterator
from typing import Any, get_type_hints

import httpx
import openai
import pytest

import tokenwatcher as tw
from tokenwatcher import MemoryTransport, default
from tokenwatcher.by_hand import ErrorFacts, ManualFacts
from tokenwatcher.testing import CapturedUsage

ANSWER = {
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


@pytest.fixture
def captured() -> Iterator[CapturedUsage]:
    """The default client, with what it records."""
    transport = MemoryTransport()
    client = tw.init("captured", flush_interval=0.0, transport=transport)
    yield CapturedUsage(client, transport)
    tw.init(disabled=True)


def test_init_and_the_functions_record_with_one_client(captured: CapturedUsage) -> None:
    assert tw.track(lambda: ANSWER, provider="openai") is ANSWER
    assert tw.track_manual("ollama", "llama3", 1, 2)
    assert tw.track_error("openai", "gpt-4o", ValueError("no"))
    assert [event["model"] for event in captured.events] == [
        "gpt-4o-2024-08-06", "llama3", "gpt-4o",
    ]  # fmt: skip
    assert tw.flush(5)
    assert tw.stats().sent == 3


def test_used_before_init_it_takes_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenwatcher.default._default._client", None)
    monkeypatch.setenv("TOKENWATCHER_API_KEY", "tw_live_from_the_environment")
    monkeypatch.setenv("TOKENWATCHER_DISABLED", "true")
    assert tw.track(lambda: ANSWER) is ANSWER
    assert tw.stats().queued == 0


def test_without_a_key_calls_run_and_nothing_is_recorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TOKENWATCHER_API_KEY", raising=False)
    monkeypatch.setattr("tokenwatcher.default._default._client", None)
    assert tw.track(lambda: ANSWER) is ANSWER
    with tw.call("openai", "gpt-4o") as call:
        call.usage(1, 1)
    assert tw.track_manual("openai", "gpt-4o", 1, 1) is None
    assert [record.message for record in caplog.records] == [
        "There is no API key (api_key= or TOKENWATCHER_API_KEY); nothing is recorded."
    ]


def test_a_setting_that_there_is_not_is_told_at_once() -> None:
    with pytest.raises(TypeError, match="flush_intervall"):
        tw.init("key", flush_intervall=1.0)  # type: ignore[call-arg]


def test_an_observed_function_is_recorded_at_each_call(captured: CapturedUsage) -> None:
    @tw.observe(provider="openai", tags={"feature": "greet"})
    def greet(name: str) -> dict[str, Any]:
        """Greets."""
        return {**ANSWER, "id": f"chatcmpl-{name}"}

    assert greet("ann")["id"] == "chatcmpl-ann"
    assert greet.__doc__ == "Greets."
    assert captured.event["tags"] == {"feature": "greet"}
    assert captured.event["inputTokens"] == 3


def test_observed_coroutines_and_generators_stay_what_they_are(captured: CapturedUsage) -> None:
    @tw.observe(provider="openai")
    async def ask() -> dict[str, Any]:
        await asyncio.sleep(0)
        return ANSWER

    @tw.observe(provider="openai")
    def pieces() -> Iterator[dict[str, Any]]:
        yield {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": [{"delta": {}}]}
        yield {"object": "chat.completion.chunk", "choices": [], "usage": ANSWER["usage"]}

    assert asyncio.iscoroutinefunction(ask)
    assert asyncio.run(ask()) is ANSWER
    assert len(list(pieces())) == 2
    answer, stream = captured.events
    assert answer["inputTokens"] == stream["inputTokens"] == 3
    assert stream["streaming"] is True


def test_an_observed_function_raises_what_it_raised(captured: CapturedUsage) -> None:
    failure = RuntimeError("overloaded")

    @tw.observe(provider="openai", model="gpt-4o")
    def fail() -> None:
        raise failure

    with pytest.raises(RuntimeError) as raised:
        fail()
    assert raised.value is failure
    assert captured.event["errorType"] == "RuntimeError"


def test_a_call_in_a_block_is_recorded_with_what_was_said_in_it(captured: CapturedUsage) -> None:
    with tw.call("mine", "model-1", user_id="u1", tags={"a": "b"}) as call:
        call.usage(10, 5, cache_read_tokens=4, response_id="resp_of_the_block")
    event = captured.event
    assert (event["inputTokens"], event["outputTokens"], event["cacheReadTokens"]) == (10, 5, 4)
    assert (event["userId"], event["tags"]) == ("u1", {"a": "b"})
    assert event["usageQuality"] == "final"
    assert event["latencyMs"] >= 0


def test_a_call_in_a_block_reads_an_answer_and_tells_an_error(captured: CapturedUsage) -> None:
    async def work() -> None:
        async with tw.call("openai", "gpt-4o") as call:
            call.answer(ANSWER)

    asyncio.run(work())
    with pytest.raises(KeyError), tw.call("openai", "gpt-4o"):
        raise KeyError("missing")
    with tw.call("openai", "gpt-4o"):
        pass
    answered, failed, silent = captured.events
    assert answered["inputTokens"] == 3
    assert (failed["eventType"], failed["errorType"]) == ("error", "KeyError")
    assert silent["usageQuality"] == "missing"


def test_a_count_that_there_is_not_is_told_at_once(captured: CapturedUsage) -> None:
    with pytest.raises(TypeError), tw.call("openai", "gpt-4o") as call:
        call.usage(1, 1, cached=3)
    assert captured.event["eventType"] == "error"


def test_a_function_of_a_frozen_process_has_sent_what_it_recorded(captured: CapturedUsage) -> None:
    @tw.flush_after
    def handler(event: Any, context: Any) -> str:
        tw.track_manual("openai", "gpt-4o", 1, 1)
        return f"{event} {context}"

    assert handler("an event", None) == "an event None"
    assert captured.client.stats().queued == 0
    assert captured.client.stats().sent == 1


def test_init_again_sends_what_the_client_before_had(captured: CapturedUsage) -> None:
    captured.client.track_manual("openai", "gpt-4o", 1, 1)
    tw.init(disabled=True)
    assert captured.client.stats().sent == 1


def test_init_after_instrument_records_with_the_new_client(captured: CapturedUsage) -> None:
    tw.instrument()
    transport = MemoryTransport()
    client = tw.init("captured-again", flush_interval=0.0, transport=transport)
    handler = httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER))
    try:
        with httpx.Client(transport=handler) as browser:
            http_client: Any = browser
            openai.OpenAI(api_key="sk-none", http_client=http_client).chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hi"}]
            )
    finally:
        tw.uninstrument()
    assert CapturedUsage(client, transport).event["inputTokens"] == 3
    assert captured.client.stats().sent == 0


def chat_of(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])


def test_init_after_a_client_was_wrapped_records_it_with_the_new_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a module wraps its client when it is imported, before the app calls `init`."""
    monkeypatch.delenv("TOKENWATCHER_API_KEY", raising=False)
    handler = httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER))
    with httpx.Client(transport=handler) as browser:
        http_client: Any = browser
        tw.init()  # without a key: disabled
        client = tw.wrap(openai.OpenAI(api_key="sk-none", http_client=http_client))
        request = client.request
        chat_of(client)
        seen = []
        for key in ("first", "second"):
            transport = MemoryTransport()
            seen.append(transport)
            tw.init(key, flush_interval=0.0, transport=transport)
            chat_of(client)
            chat_of(client.with_options(timeout=3))
            assert tw.flush()
        tw.init(disabled=True)
        chat_of(client)
        assert client.request != request
    for transport in seen:
        sent = [json.loads(body)["events"] for _path, body in transport.posts]
        assert sum(map(len, sent)) == 2


@pytest.mark.parametrize(
    ("function", "facts"), [("track_manual", ManualFacts), ("track_error", ErrorFacts)]
)
def test_functions_of_the_package_take_what_those_of_a_client_take(
    function: str, facts: type
) -> None:
    taken = inspect.get_annotations(getattr(tw.TokenWatcher, function), eval_str=True)
    by_name = {
        name: taken[name]
        for name in list(taken)
        if name not in inspect.get_annotations(getattr(default, function)) and name != "return"
    }
    assert get_type_hints(facts) == by_name
