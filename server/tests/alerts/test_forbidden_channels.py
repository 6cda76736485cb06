"""No kind of channel is a way into the server's own network: not when it is saved, nor later."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server.tests.alerts.sending import Place, sent_once
from server.tests.outbound.conftest import Canary
from tokenwatcher_server.alerts.channels import KINDS
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.mail import Mail, MailServer
from tokenwatcher_server.outbound.policy import Policy

HOSTS = (
    (Path(__file__).parents[1] / "outbound" / "forbidden_hosts.txt")
    .read_text(encoding="utf-8")
    .split()
)
BY_URL = sorted(KINDS.keys() - {"email", "pagerduty"})
"""The kinds whose place is a URL; a letter goes to the operator's server, a page to PagerDuty."""


@pytest.mark.parametrize("kind", BY_URL)
def test_no_channel_of_a_forbidden_place_is_saved(
    signed_in: Callable[..., httpx.Client], kind: str
) -> None:
    browser = signed_in()
    home = browser.get("/api/workspaces").json()["workspaces"][0]["id"]
    assert len(HOSTS) > 100
    for host in HOSTS:
        body = {"workspaceId": home, "kind": kind, "name": "n", "url": f"https://{host}/"}
        answer = browser.post("/api/alert-channels", json=body)
        assert (answer.status_code, answer.json()["issues"][0]["path"]) == (400, "url"), host
    assert browser.get("/api/alert-channels").json()["channels"] == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_no_channel_that_came_to_lead_to_a_forbidden_place_is_sent_anything(
    tmp_path: Path, address: str
) -> None:
    canary = Canary(address)
    try:
        policy = Policy(plain_http=True, allowed_ports=frozenset({canary.port}))
        places = [
            Place(kind, f"http://{host}:{canary.port}/")
            for kind in BY_URL
            for host in HOSTS
            if host.count(":") != 1
        ]
        tried = asyncio.run(sent_once(tmp_path, places, Gate(policy)))
        assert len(tried) == len(places) > 400
        for place, attempt in zip(places, tried, strict=True):
            assert attempt.status is None, place
            assert attempt.error, place
            assert host_free(attempt.error, place), attempt.error
        assert canary.connections() == 0
    finally:
        canary.close()


def host_free(error: str, place: Place) -> bool:
    """What people read does not tell what is inside: no address, no port, no name."""
    return not any(part in error for part in (place.url, "127.", "::1", "refused the connection"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "0x7f.1"])
def test_no_letter_goes_to_a_mail_server_that_came_to_be_forbidden(
    tmp_path: Path, host: str
) -> None:
    canary = Canary("::1" if host == "::1" else "127.0.0.1")
    try:
        server = MailServer(host=host, port=canary.port, sender="tokenwatcher@example.com")
        mail = Mail(Policy(), server, timeout_seconds=3)
        places = [Place("email", "mailto:ann@example.com")]
        [attempt] = asyncio.run(sent_once(tmp_path, places, Gate(Policy()), mail))
        assert attempt.status is None
        assert attempt.error
        assert canary.connections() == 0
    finally:
        canary.close()
