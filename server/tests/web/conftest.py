"""A server of which the password is known, and browsers at addresses of their own."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery staple"
ADDRESSES = count(1)


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory, instance: Any) -> Iterator[Any]:
    """A server behind a proxy that it trusts, whose admin signs in with PASSWORD."""
    started = type(instance)
    running = started(
        tmp_path_factory.mktemp("door") / "data",
        DASHBOARD_PASSWORD=PASSWORD,
        TRUSTED_PROXIES="127.0.0.0/8",
    )
    yield running
    running.stop()


@pytest.fixture
def visitor(door: Any) -> Iterator[Callable[[], httpx.Client]]:
    """Opens browsers that nobody has signed in on, each at another address."""
    opened: list[httpx.Client] = []

    def browser() -> httpx.Client:
        client: httpx.Client = door.client()
        number = next(ADDRESSES)
        client.headers["X-Forwarded-For"] = f"198.51.{number // 250}.{number % 250}"
        opened.append(client)
        return client

    yield browser
    for client in opened:
        client.close()


@pytest.fixture
def signed_in(visitor: Callable[[], httpx.Client]) -> Callable[[], httpx.Client]:
    """Opens browsers with a session and its CSRF token in place."""

    def browser() -> httpx.Client:
        client = visitor()
        credentials = {"username": "admin", "password": PASSWORD}
        assert client.post("/api/auth/login", json=credentials).status_code == 200
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
        return client

    return browser


@pytest.fixture
def person(door: Any, visitor: Callable[[], httpx.Client]) -> Callable[..., httpx.Client]:
    """Opens browsers of people with a role in a workspace, by its slug."""

    def browser(role: str, workspace: str = "default") -> httpx.Client:
        name = f"{role}-{next(ADDRESSES)}"
        place = ("--role", role, "--workspace", workspace)
        door.command("users", "create", name, *place, given=PASSWORD)
        client = visitor()
        credentials = {"username": name, "password": PASSWORD}
        assert client.post("/api/auth/login", json=credentials).status_code == 200
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
        return client

    return browser
