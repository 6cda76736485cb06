"""A channel, a budget, and what spends it."""

import time
from typing import Any

import httpx

# gpt-4o: $2.50 a million tokens in, so 400,000 of them are a dollar
DOLLAR = {"provider": "openai", "model": "gpt-4o", "inputTokens": 400_000, "outputTokens": 0}


def add_channel(admin: httpx.Client, workspace_id: str, url: str, kind: str = "webhook") -> Any:
    body = {"workspaceId": workspace_id, "kind": kind, "name": "our pager", "url": url}
    answer = admin.post("/api/alert-channels", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def add_rule(admin: httpx.Client, workspace_id: str, **body: Any) -> Any:
    rule = {"workspaceId": workspace_id, "name": "Budget", "type": "daily_cost", "threshold": "10"}
    answer = admin.post("/api/alerts", json=rule | body)
    assert answer.status_code == 201, answer.text
    return answer.json()["alert"]


def spend(watching: Any, dollars: int, **fields: Any) -> None:
    with watching.client(watching.key()) as app:
        events = [DOLLAR | fields] * dollars
        answer = app.post("/api/ingest/batch", json={"events": events})
        assert answer.status_code == 200, answer.text


def tried(admin: httpx.Client) -> Any:
    """The one delivery, once an attempt of it is written down."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = admin.get("/api/alert-deliveries").json()["deliveries"]
        if found and found[0]["attempts"]:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(found)


def settled(admin: httpx.Client) -> Any:
    """The deliveries, once none is pending."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = admin.get("/api/alert-deliveries").json()["deliveries"]
        if found and all(one["state"] != "pending" for one in found):
            return found
        time.sleep(0.05)
    raise AssertionError(found)
