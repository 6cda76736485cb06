"""The server answers to its own names, and believes forwarded headers of trusted proxies alone."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.settings import Settings
from tokenwatcher_server.web.client_address import hop_of, is_encrypted
from tokenwatcher_server.web.middleware.hosts import KnownHosts

Browser = Callable[[], httpx.Client]
EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 1}


def is_known(name: str, **settings: Any) -> bool:
    try:
        KnownHosts(Settings(**settings)).check(name.encode())
    except AppError:
        return False
    return True


@pytest.mark.parametrize("path", ["/login", "/healthz", "/api/stats", "/api/ingest"])
@pytest.mark.parametrize("host", ["evil.example", "evil", "localhost.evil.example", "a@localhost"])
def test_a_name_that_is_not_ours_is_refused(door: Any, path: str, host: str) -> None:
    with door.client() as browser:
        answer = browser.post(path, headers={"Host": host}, json=EVENT)
    assert answer.status_code == 400
    assert answer.json()["code"] in {"BAD_HOST", "HOST_NOT_ALLOWED"}
    assert "evil" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:3000", "app.localhost", "127.0.0.1:3000",
                                  "[::1]:3000", "192.168.1.5", "localhost.:80"])  # fmt: skip
def test_this_machine_is_known_by_its_addresses_and_as_localhost(host: str) -> None:
    assert is_known(host)


def test_a_network_knows_the_server_by_names_without_a_dot() -> None:
    assert is_known("tokenwatcher:3000", host="0.0.0.0")
    assert not is_known("tokenwatcher.example.com", host="0.0.0.0")
    assert not is_known("tokenwatcher:3000", host="127.0.0.1")


def test_the_operator_names_further_hosts() -> None:
    named = {"public_url": "https://tokens.example.com", "allowed_hosts": ("*.corp.example",)}
    assert is_known("tokens.example.com", **named)
    assert is_known("a.b.corp.example:8443", **named)
    assert not is_known("corp.example", **named)
    assert not is_known("evilcorp.example", **named)
    assert not is_known("tokens.example.com.evil.example", **named)


def peer(address: str) -> dict[str, Any]:
    return {"client": (address, 1234), "scheme": "http"}


TRUSTED = ("10.0.0.0/8", "fd00::/8")


def test_a_strangers_forwarded_headers_are_not_believed() -> None:
    assert hop_of(peer("203.0.113.9"), "198.51.100.1", TRUSTED) == "203.0.113.9"
    assert not is_encrypted(peer("203.0.113.9"), "https", TRUSTED)
    assert hop_of(peer("10.0.0.1"), "198.51.100.1", ()) == "10.0.0.1"
    assert not is_encrypted(peer("10.0.0.1"), "https", ())


def test_of_a_trusted_proxys_hops_the_last_that_is_not_trusted_counts() -> None:
    assert hop_of(peer("10.0.0.1"), "6.6.6.6, 198.51.100.1, 10.9.9.9", TRUSTED) == "198.51.100.1"
    assert hop_of(peer("::ffff:10.0.0.1"), "198.51.100.1", TRUSTED) == "198.51.100.1"
    assert hop_of(peer("10.0.0.1"), "", TRUSTED) == "10.0.0.1"
    assert is_encrypted(peer("10.0.0.1"), "HTTPS", TRUSTED)
    assert not is_encrypted(peer("10.0.0.1"), "https, http", TRUSTED)
