"""What an app does with an answer after the call changes nothing of what was recorded."""

from __future__ import annotations

from typing import Any

import tokenwatcher
from tokenwatcher.event import Facts
from tokenwatcher.testing import captured_usage


def chat() -> dict[str, Any]:
    return {
        "object": "chat.completion",
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-08-06",
        "choices": [],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }


def message() -> dict[str, Any]:
    return {
        "type": "message",
        "id": "msg_1",
        "model": "claude-haiku-4-5",
        "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0},
    }


def test_an_app_that_adds_up_in_the_answer_itself_does_not_change_the_event() -> None:
    with captured_usage(flush_interval=60) as captured:
        answer = chat()
        captured.client.track(lambda: answer)
        answer["usage"]["prompt_tokens"] += 1000
        answer["usage"]["prompt_tokens_details"]["cached_tokens"] += 1000
        answer["model"] = "another"
        event = captured.event
    assert (event["inputTokens"], event["cacheReadTokens"]) == (10, 4)
    assert event["model"] == "gpt-4o-2024-08-06"


def test_one_call_with_several_answers_makes_an_event_of_each() -> None:
    with captured_usage(flush_interval=60) as captured:
        recording = captured.client._recording()  # as the wrapped clients have it
        call = recording.begin(Facts("openai", "gpt-4o"))
        for number in (1, 2):
            call.answered({**chat(), "id": f"chatcmpl-{number}"})
        events = captured.events
    assert [event["responseId"] for event in events] == ["chatcmpl-1", "chatcmpl-2"]
    assert len({event["id"] for event in events}) == 2


def test_tags_that_the_app_changes_after_the_call_do_not_change_the_event() -> None:
    with captured_usage(flush_interval=60) as captured:
        mine: dict[str, Any] = {"feature": "chat"}
        with tokenwatcher.tags(team="a", user_id="u1"):
            captured.client.track(message, tags=mine)
        mine["feature"] = "search"
        event = captured.event
    assert event["tags"] == {"feature": "chat", "team": "a"}
    assert (event["userId"], event["inputTokens"]) == ("u1", 10)


def test_ids_made_later_are_of_the_time_of_their_calls() -> None:
    with captured_usage(flush_interval=60) as captured:
        for _ in range(3):
            captured.client.track(chat)
        events = captured.events
    assert len({event["id"] for event in events}) == 3
    assert [event["id"][:12] for event in events] == sorted(event["id"][:12] for event in events)
