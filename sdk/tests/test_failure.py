"""What is told of an exception: who failed and how, and nothing of what was being said."""

from typing import Any

import pytest

from tokenwatcher.failure import describe, failure_in
from tokenwatcher.testing import CapturedUsage


def problem(message: str = "failed", **attributes: Any) -> Exception:
    """An exception with the attributes of some provider's library."""
    error: Exception = type("SomeError", (Exception,), {})(message)
    error.__dict__.update(attributes)
    return error


def test_anthropic_error_is_told_by_its_inner_message() -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    failure = describe(problem(body=body, status_code=529, request_id="req_1"))
    assert failure == ("SomeError", "Overloaded", 529, "overloaded_error", "req_1")


def test_openai_error_without_an_envelope_is_told_alike() -> None:
    failure = describe(problem(body={"message": "No such model.", "code": "model_not_found"}))
    assert (failure.message, failure.code) == ("No such model.", "model_not_found")


def test_botocore_error_is_told_by_its_response() -> None:
    response = {
        "Error": {"Code": "ThrottlingException", "Message": "Too many requests"},
        "ResponseMetadata": {"HTTPStatusCode": 429},
    }
    failure = describe(problem(response=response))
    assert (failure.message, failure.code) == ("Too many requests", "ThrottlingException")
    assert failure.status == 429


def test_google_error_is_told_by_its_details() -> None:
    details = {"error": {"code": 404, "message": "No such model.", "status": "NOT_FOUND"}}
    failure = describe(problem(details=details, code=404, status="NOT_FOUND"))
    assert (failure.message, failure.code, failure.status) == ("No such model.", "NOT_FOUND", 404)


def test_httpx_error_is_told_without_the_key_in_its_address() -> None:
    failure = describe(problem("Client error for url 'https://x.example/v1?key=abcdefghijkl'"))
    assert failure.message == "Client error for url 'https://x.example/v1?key=***'"


def test_body_without_a_message_is_not_told_at_all() -> None:
    failure = describe(problem("Error: 400 - {'generated': 'a secret'}", body={"generated": "x"}))
    assert failure.message is None


def test_exception_without_words_is_told_by_its_type() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    assert describe(MuteError()) == ("MuteError", None, None, None, None)
    assert describe(ValueError()) == ("ValueError", None, None, None, None)
    assert describe(OSError(2, "No such file")).status is None


@pytest.mark.parametrize(
    "answer",
    [
        {"usage": {"prompt_tokens": 1}, "error": {"message": "m"}},
        {"choices": [1], "error": {"message": "m"}},
        {"error": None},
        {"error": {}},
        {},
        None,
    ],
)
def test_answer_is_no_error_where_it_holds_something_else(answer: Any) -> None:
    assert failure_in(answer) is None


def test_error_in_place_of_an_answer_is_told() -> None:
    failure = failure_in({"error": "model 'x' not found"})
    assert failure is not None
    assert (failure.type, failure.message) == ("error", "model 'x' not found")


def test_failed_response_is_an_error_with_its_usage(captured: CapturedUsage) -> None:
    captured.client.track(
        lambda: {
            "object": "response",
            "status": "failed",
            "model": "gpt-5",
            "error": {"code": "server_error", "message": "It broke at sk-0123456789abcdef"},
            "usage": {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6},
        }
    )
    event = captured.event
    assert (event["eventType"], event["status"]) == ("usage", "error")
    assert (event["errorType"], event["errorMessage"]) == ("server_error", "It broke at ***")
    assert event["inputTokens"] == 5
