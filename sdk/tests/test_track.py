"""`track`: the app gets what its call gave, and one event tells what it used."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from tokenwatcher import MemoryTransport, TokenWatcher
from tokenwatcher.testing import CapturedUsage, captured_usage

ANSWER = {
    "object": "chat.completion",
    "id": "chatcmpl-00000000000000000001",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"message": {"content": "the secret of life"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


def test_app_gets_the_very_object_its_call_returned(captured: CapturedUsage) -> None:
    assert captured.client.track(lambda: ANSWER, provider="openai") is ANSWER


def test_a_prompt_leaves_the_process_only_with_the_call_that_it_is_given_for(
    captured: CapturedUsage,
) -> None:
    captured.client.track(lambda: ANSWER, store_prompt="what is life?")
    assert captured.event["prompt"] == "what is life?"
    captured.client.track(lambda: ANSWER)
    with captured.client.call("mine", "model-1", store_prompt="and death?") as call:
        call.usage(1, 2)
    with pytest.raises(ValueError):
        captured.client.track(fail, store_prompt="why?")
    captured.client.flush()
    prompts = [event.get("prompt") for event in captured.events]
    assert prompts == ["what is life?", None, "and death?", "why?"]


def fail() -> None:
    raise ValueError


def test_event_tells_what_was_asked_for_and_what_answered(captured: CapturedUsage) -> None:
    captured.client.track(
        lambda: ANSWER,
        provider="openai",
        model="gpt-4o",
        service_tier="auto",
        tags={"feature": "chat", "n": 2},
        user_id="u1",
        end_user_id="c1",
        session_id="s1",
        request_id="r1",
        trace_id="t1",
        span_id="p1",
        parent_span_id="pp1",
        metadata={"region": "eu"},
    )
    event = captured.event
    assert len(event.pop("id")) == 36
    assert event.pop("timestamp").endswith("Z")
    assert event.pop("latencyMs") >= 0
    assert event == {
        "eventType": "usage",
        "status": "success",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "requestedModel": "gpt-4o",
        "serviceTier": "default",
        "requestedServiceTier": "auto",
        "inputTokens": 10,
        "outputTokens": 5,
        "usageQuality": "final",
        "streaming": False,
        "responseId": "chatcmpl-00000000000000000001",
        "userId": "u1",
        "endUserId": "c1",
        "sessionId": "s1",
        "requestId": "r1",
        "traceId": "t1",
        "spanId": "p1",
        "parentSpanId": "pp1",
        "tags": {"feature": "chat", "n": 2},
        "metadata": {"region": "eu"},
    }


def test_nothing_that_was_asked_or_answered_leaves(captured: CapturedUsage) -> None:
    captured.client.track(lambda: ANSWER, provider="openai")
    assert "secret of life" not in str(captured.event)


def test_provider_is_known_by_the_shape_where_the_app_does_not_say(captured: CapturedUsage) -> None:
    captured.client.track(lambda: ANSWER)
    captured.client.track(lambda: {"type": "message", "usage": {"input_tokens": 1}})
    captured.client.track(lambda: 42)
    assert [event["provider"] for event in captured.events] == ["openai", "anthropic", "unknown"]


def test_answer_that_nobody_knows_is_a_call_without_counts(captured: CapturedUsage) -> None:
    assert captured.client.track(lambda: 42, provider="own", model="m") == 42
    event = captured.event
    assert (event["model"], event["usageQuality"]) == ("m", "missing")
    assert "inputTokens" not in event


def test_exception_goes_on_unchanged_and_is_an_error_event(captured: CapturedUsage) -> None:
    problem = ValueError("bad key sk-proj-abcdefghijklmnop\nand the prompt: tell me a secret")

    def call() -> None:
        raise problem

    with pytest.raises(ValueError, match="bad key") as caught:
        captured.client.track(call, provider="openai", model="gpt-4o")
    assert caught.value is problem
    event = captured.event
    assert (event["eventType"], event["status"]) == ("error", "error")
    assert (event["errorType"], event["errorMessage"]) == ("ValueError", "bad key ***")
    assert event["model"] == "gpt-4o"


def test_message_of_a_provider_is_taken_without_what_came_with_it(captured: CapturedUsage) -> None:
    class BadRequestError(Exception):
        status_code = 400
        request_id = "req_1"
        body = {  # noqa: RUF012  # as the clients' exceptions have it
            "error": {
                "message": "Tool call validation failed.",
                "code": "tool_use_failed",
                "failed_generation": "what the model wrote",
            }
        }

    def call() -> None:
        raise BadRequestError(f"Error code: 400 - {BadRequestError.body}")

    with pytest.raises(BadRequestError):
        captured.client.track(call, provider="groq", model="m")
    event = captured.event
    assert event["errorMessage"] == "Tool call validation failed."
    assert event["metadata"] == {"httpStatus": 400, "errorCode": "tool_use_failed"}
    assert event["requestId"] == "req_1"
    assert "what the model wrote" not in str(event)


def test_errors_are_left_out_where_the_app_says_so() -> None:
    with captured_usage(track_errors=False) as usage:
        with pytest.raises(ZeroDivisionError):
            usage.client.track(lambda: 1 / 0, provider="openai")
        assert usage.client.track_error("openai", "m", "failed") is None
        assert usage.events == []


def test_awaitable_is_recorded_when_it_has_come(captured: CapturedUsage) -> None:
    async def call() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return ANSWER

    async def app() -> None:
        assert await captured.client.track(call, provider="openai") is ANSWER

    asyncio.run(app())
    assert captured.event["inputTokens"] == 10
    assert captured.event["latencyMs"] >= 25


def test_cancelled_task_is_an_error_event_and_stays_cancelled(captured: CapturedUsage) -> None:
    async def app() -> None:
        task = asyncio.ensure_future(
            captured.client.track(lambda: asyncio.sleep(10), provider="openai", model="m")
        )
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(app())
    assert captured.event["errorType"] == "CancelledError"


def test_default_tags_and_environment_go_with_every_event() -> None:
    with captured_usage(environment="test", default_tags={"app": "shop", "feature": "-"}) as usage:
        usage.client.track(lambda: ANSWER, tags={"feature": "chat"})
        usage.client.track_manual("openai", "gpt-4o", 1, 2)
        usage.client.track_error("openai", "gpt-4o", "failed")
        tags = [event["tags"] for event in usage.events]
    assert tags[0] == {"environment": "test", "app": "shop", "feature": "chat"}
    assert tags[1] == tags[2] == {"environment": "test", "app": "shop", "feature": "-"}


def test_manual_event_has_what_it_was_given(captured: CapturedUsage) -> None:
    event_id = captured.client.track_manual(
        "anthropic", "claude-sonnet-4-5", 5000, 400,
        cache_read_tokens=3000, cache_write_tokens=1000, cache_write_5m_tokens=600,
        cache_write_1h_tokens=400, reasoning_tokens=150, latency_ms=12.6, timestamp=1767225600.25,
        response_id="msg_1", reported_cost_usd="0.01", server_tool_calls={"web_search": 1},
    )  # fmt: skip
    event = captured.event
    assert event["id"] == event_id
    assert event["timestamp"] == "2026-01-01T00:00:00.250000Z"
    assert (event["inputTokens"], event["cacheWrite1hTokens"]) == (5000, 400)
    assert (event["latencyMs"], event["usageQuality"]) == (13, "final")
    assert (event["reportedCostUsd"], event["serverToolCalls"]) == ("0.01", {"web_search": 1})


def test_manual_event_without_counts_is_missing_and_with_wrong_ones_inconsistent(
    captured: CapturedUsage,
) -> None:
    captured.client.track_manual("openai", "gpt-4o")
    captured.client.track_manual("openai", "gpt-4o", 5, 5, cache_read_tokens=6)
    captured.client.track_manual("openai", "gpt-4o", 5, 5, usage_quality="estimated")
    assert [event["usageQuality"] for event in captured.events] == [
        "missing",
        "inconsistent",
        "estimated",
    ]


def test_error_is_recorded_by_hand(captured: CapturedUsage) -> None:
    captured.client.track_error("openai", "gpt-4o", "key sk-abcdefghijkl", error_type="RateLimit")
    captured.client.track_error("openai", "gpt-4o", TimeoutError("too slow"), latency_ms=100)
    first, second = captured.events
    assert (first["errorType"], first["errorMessage"]) == ("RateLimit", "key ***")
    assert (second["errorType"], second["errorMessage"]) == ("TimeoutError", "too slow")


def test_nonsense_given_by_hand_reaches_neither_app_nor_server(
    captured: CapturedUsage, internal_errors: list[Any]
) -> None:
    captured.client.track_manual("openai", "m", 1, 2, timestamp="yesterday")  # type: ignore[arg-type]
    captured.client.track_manual("openai", "m", 1, 2, total_cost_usd=float("nan"))
    captured.client.track_manual("openai", "m", 1, 2)
    assert len(captured.events) == 1
    assert captured.client.stats().internal_errors == 1
    assert captured.client.stats().failed == 1
    assert internal_errors.pop()


@pytest.mark.parametrize(
    "answer", [ANSWER, ValueError("failed"), iter([])], ids=["answer", "error", "stream"]
)
def test_error_of_our_own_never_reaches_the_app(
    captured: CapturedUsage, internal_errors: list[Any], answer: Any
) -> None:
    def call() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with suppress(ValueError):
        got = captured.client.track(call, tags="no mapping")  # type: ignore[arg-type]
        if got is not answer:
            assert list(got) == []
    assert captured.client.stats().internal_errors == 1
    assert internal_errors.pop()
    assert "tags" not in captured.event


def test_a_tag_that_cant_be_said_costs_no_event(captured: CapturedUsage) -> None:
    odd: Any = {"t": Unspeakable(), "huge": 10**30, "vast": 10**400, "none": float("inf"), "n": 2}
    captured.client.track_manual("openai", "m", 1, 2, tags=odd)
    assert captured.event["tags"] == {
        "t": "<Unspeakable>", "huge": str(10**30), "vast": str(10**400)[:300], "none": "inf", "n": 2,
    }  # fmt: skip


def test_client_made_with_nonsense_works_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    transport = MemoryTransport()
    client = TokenWatcher("k", default_tags=7, transport=transport)  # type: ignore[arg-type]
    assert "default_tags" in caplog.text
    assert client.track_manual("openai", "m", 1, 1)
    client.shutdown()


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_disabled_client_only_makes_the_call() -> None:
    transport = MemoryTransport()
    watcher = TokenWatcher(api_key="k", disabled=True, transport=transport)
    assert watcher.track(lambda: ANSWER) is ANSWER
    assert watcher.track_manual("openai", "m", 1, 2) is None
    assert watcher.track_error("openai", "m", "failed") is None
    assert watcher.flush(0.1)
    assert watcher.shutdown(0.1)
    assert transport.posts == []


def test_recording_does_not_wait_for_the_server() -> None:
    class Stuck(MemoryTransport):
        def post(self, path: str, body: bytes) -> Any:
            time.sleep(0.5)
            return super().post(path, body)

    watcher = TokenWatcher(api_key="k", transport=Stuck(), flush_interval=0.0)
    began = time.perf_counter()
    for _ in range(200):
        watcher.track(lambda: ANSWER, provider="openai")
    assert time.perf_counter() - began < 0.4
    watcher.shutdown(0.01)
