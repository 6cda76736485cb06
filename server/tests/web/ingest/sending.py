"""An event to send, and what is looked at in the answer."""

import uuid
from typing import Any

import httpx

EVENT: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o-mini",
    "inputTokens": 1000,
    "outputTokens": 100,
}


def event(**fields: Any) -> dict[str, Any]:
    return {**EVENT, "id": str(uuid.uuid4()), **fields}


def stored(instance: Any, reader: str, event_id: str) -> httpx.Response:
    with instance.client(reader) as reading:
        response: httpx.Response = reading.get(f"/api/events/{event_id}")
        return response


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["error"] == problem["detail"]
    assert problem["requestId"] == response.headers["x-request-id"]
    return problem
