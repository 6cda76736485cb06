"""Several servers on one PostgreSQL: what any acknowledged is counted once, what one hears all hear."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from server.tests.conftest import SECRET
from server.tests.faults.balancer import Balancer
from server.tests.faults.persistent import send_all
from server.tests.faults.senders import totals
from server.tests.postgres_server import Postgres

Start = Callable[..., Any]


@pytest.fixture
def pair(postgres: Postgres, new_instance: Start) -> list[Any]:
    """Two servers that know nothing of each other but the database."""
    shared = {"DATABASE_URL": postgres.new_database(), "DASHBOARD_SESSION_SECRET": SECRET}
    return [new_instance(name, **shared) for name in ("one", "other")]


@pytest.fixture
def balanced(pair: list[Any]) -> Iterator[Balancer]:
    balancer = Balancer([each.url for each in pair], cut=0.05)
    yield balancer
    balancer.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_events_with_retries_are_counted_once_each(
    pair: list[Any], balanced: Balancer
) -> None:
    key, reader = pair[0].key(), pair[0].key("--kind", "read")

    def client() -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=balanced.url, headers=headers, timeout=30)

    events, tokens, _ = send_all(client, 1_000)
    assert events == 100_000
    for server in pair:
        with server.client(reader) as reading:
            assert totals(reading) == (events, tokens)
    assert pair[0].cli("store", "verify")["sound"] is True


def test_a_key_revoked_on_one_server_is_refused_on_the_other_within_a_second(
    pair: list[Any],
) -> None:
    one, other = pair
    raw = one.key()
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1}
    [made] = [key for key in one.cli("keys", "list") if raw.startswith(key["keyPrefix"])]
    with one.client(raw) as first, other.client(raw) as second:
        assert first.post("/api/ingest", json=event).status_code == 200
        assert second.post("/api/ingest", json=event).status_code == 200
        one.command("keys", "revoke", made["id"])
        time.sleep(1)
        assert first.post("/api/ingest", json=event).status_code == 401
        assert second.post("/api/ingest", json=event).status_code == 401


def test_a_session_of_one_server_is_one_of_the_other_until_it_ends_on_either(
    postgres: Postgres, new_instance: Start
) -> None:
    shared = {
        "DATABASE_URL": postgres.new_database(),
        "DASHBOARD_SESSION_SECRET": SECRET,
        "DASHBOARD_PASSWORD": "correct horse battery staple",
    }
    one, other = (new_instance(name, **shared) for name in ("one", "other"))
    with one.client() as here, other.client() as there:
        signed = {"username": "admin", "password": "correct horse battery staple"}
        assert here.post("/api/auth/login", json=signed).status_code == 200
        there.cookies = here.cookies
        assert there.get("/api/stats").status_code == 200
        token = there.get("/api/auth/csrf").json()["csrfToken"]
        there.post("/api/auth/logout", headers={"X-CSRF-Token": token})
        assert here.get("/api/stats").status_code == 401
