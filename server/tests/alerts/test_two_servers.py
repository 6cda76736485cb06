"""Two servers on one control database: each alert is told, and told once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.tests.alerts.arranging import DOLLAR, add_channel, add_rule
from server.tests.alerts.conftest import PASSWORD, Receiver

RULES = 20


@pytest.fixture(params=["a file", "PostgreSQL"])
def servers(
    new_instance: Callable[..., Any],
    receiver: Receiver,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> list[Any]:
    """Two of them: with the same control data, and on PostgreSQL with the same events too."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    if request.param == "PostgreSQL":
        url = request.getfixturevalue("postgres").new_database()
    shared = {
        "DATABASE_URL": url,
        "DASHBOARD_SESSION_SECRET": "the same secret for both servers: 0123456789",
        "DASHBOARD_PASSWORD": PASSWORD,
        "WEBHOOK_ALLOWED_CIDRS": "127.0.0.1/32",
        "WEBHOOK_ALLOWED_PORTS": str(receiver.port),
    }
    return [new_instance(name, **shared) for name in ("one", "other")]


def sign_in(client: httpx.Client) -> None:
    credentials = {"username": "admin", "password": PASSWORD}
    assert client.post("/api/auth/login", json=credentials).status_code == 200
    client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]


def test_two_servers_that_see_the_same_at_once_tell_it_once(
    servers: list[Any], receiver: Receiver
) -> None:
    with servers[0].client() as one, servers[1].client() as other:
        sign_in(one)
        sign_in(other)
        workspace_id = str(one.get("/api/workspaces").json()["workspaces"][0]["id"])
        assert workspace_id == other.get("/api/workspaces").json()["workspaces"][0]["id"]
        add_channel(one, workspace_id, receiver.url)
        for number in range(RULES):
            add_rule(one, workspace_id, name=f"Budget {number}", threshold="2")
        raw = servers[0].cli("keys", "create")["rawKey"]

        def spend(server: Any) -> None:
            with server.client(raw) as app:
                events = {"events": [DOLLAR] * 3}
                assert app.post("/api/ingest/batch", json=events).status_code == 200

        def evaluate(client: httpx.Client) -> None:
            for _ in range(5):
                assert client.post("/api/alerts/evaluate").status_code == 200

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(spend, servers))
            list(threads.map(evaluate, (one, other)))
        receiver.wait_for(RULES, seconds=30)
        time.sleep(2)
        told = [body["alertName"] for body in receiver.bodies()]
        assert sorted(told) == sorted(f"Budget {number}" for number in range(RULES))
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == RULES
        assert len(other.get("/api/alerts/history").json()["history"]) == RULES
