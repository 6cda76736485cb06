"""A server that keeps prompts, whom the admin is signed in to, and what is sent to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery staple"


class Home:
    """A server of a test's own: events are sent to it, and it is asked what it holds."""

    def __init__(self, instance: Any) -> None:
        self.instance = instance
        self.key, self.reader = instance.key(), instance.key("--kind", "read")

    def send(self, **said: Any) -> httpx.Response:
        """Send one event; `days_ago` is when the call was made."""
        when = datetime.now(UTC) - timedelta(days=said.pop("days_ago", 0))
        event = {
            "provider": "openai", "model": "gpt-4o-mini", "inputTokens": 1_000,
            "outputTokens": 10, "timestamp": when.isoformat(), **said,
        }  # fmt: skip
        with self.instance.client(self.key) as client:
            answer: httpx.Response = client.post("/api/ingest", json=event)
        assert answer.status_code == 200, answer.text
        return answer

    def get(self, path: str, **asked: Any) -> Any:
        with self.instance.client(self.reader) as client:
            answer = client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def calls(self) -> int:
        [row] = self.get("/api/query", measures="calls", days=365)["rows"]
        return int(row["calls"])


@pytest.fixture
def home(new_instance: Callable[..., Any]) -> Home:
    return Home(new_instance(DASHBOARD_PASSWORD=PASSWORD, STORE_PROMPTS="true"))


@pytest.fixture
def admin(home: Home) -> Iterator[httpx.Client]:
    """Signed in as who owns the instance."""
    with home.instance.client() as client:
        credentials = {"username": "admin", "password": PASSWORD}
        assert client.post("/api/auth/login", json=credentials).status_code == 200
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
        yield client
