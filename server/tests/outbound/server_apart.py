"""Run in a network of its own: a whole server, receivers over TLS, and names that move.

Tells each alert through every kind of channel, has the names of their receivers lead inside, and
has receivers misbehave. Prints, as JSON, what came of it.
"""

import json
import os
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from server.tests.conftest import Instance
from server.tests.outbound.certificates import write_certificate
from server.tests.outbound.conftest import Canary
from server.tests.outbound.mail_server import MailServer
from server.tests.outbound.names_server import AAAA, A, NameServer, raise_loopback

PASSWORD = "correct horse battery staple"
OUTSIDE = "127.0.0.9"
"""Stands for the open internet: the one address that the server may send to."""
INSIDE = ("10.0.0.1", "100.100.100.200", "169.254.169.254")
MAIL = "mail.example.com"
HOSTS = {
    "webhook": "hooks.example.com",
    "slack": "hooks.slack.com",
    "discord": "discord.com",
    "teams": "company.webhook.office.com",
    "pagerduty": "events.pagerduty.com",
    "email": MAIL,
}
ONCE = "once.example.com"
MOVES: dict[str, tuple[str, ...]] = {
    "to loopback": ("127.0.0.1",),
    "to loopback, version 6": ("::1",),
    "to metadata": ("169.254.169.254",),
    "to another cloud's metadata": ("100.100.100.200",),
    "to a private network": ("10.0.0.1",),
    "to a mapped address": ("::ffff:127.0.0.1",),
    "half inside": (OUTSIDE, "127.0.0.1"),
    "half inside, by version": (OUTSIDE, "::1"),
    "to nowhere": (),
}
PLACES = {"pagerduty": "0" * 32, "email": "ops@example.com"}
BAD = ("redirect", "drip", "endless")


class Outside:
    """Servers of the open internet: over TLS on port 443, and one for letters."""

    def __init__(self, certificate: Path) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outside.requests.append((headers["host"], self.path, headers, body))
                self.send_response(302 if self.path == "/redirect" else 200)
                if self.path == "/redirect":
                    self.send_header("Location", "https://169.254.169.254/latest/meta-data/")
                self.end_headers()
                while self.path in {"/drip", "/endless"}:
                    self.wfile.write(b"x" * (1 if self.path == "/drip" else 65_536))
                    time.sleep(0.1 if self.path == "/drip" else 0)

            def log_request(self, code: object = None, size: object = None) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """The other side has left, as it should."""

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server = Server((OUTSIDE, 443), Handler)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.mail = MailServer(
            address=OUTSIDE, port=587, tls_context=tls, require_starttls=True, hostname=MAIL
        )

    def told(self) -> int:
        return len(self.requests) + len(self.mail.letters)


def until(fact: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.05)
    return fact()


@contextmanager
def running(folder: Path, certificate: Path) -> Iterator[httpx.Client]:
    """The server as in production, trusting the certificate, with its owner signed in."""
    instance = Instance(
        folder / "data",
        DASHBOARD_PASSWORD=PASSWORD,
        SSL_CERT_FILE=str(certificate),
        WEBHOOK_ALLOWED_CIDRS=f"{OUTSIDE}/32",
        SMTP_HOST=MAIL,
        ALERT_EMAIL_FROM="tokenwatcher@example.com",
    )
    try:
        with instance.client() as client:
            credentials = {"username": "admin", "password": PASSWORD}
            assert client.post("/api/auth/login", json=credentials).status_code == 200
            client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
            client.headers["X-Write-Key"] = instance.key()
            yield client
    finally:
        instance.kill()


class Company:
    """What the owner of an instance does."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._home = client.get("/api/workspaces").json()["workspaces"][0]["id"]

    def add(self, kind: str, place: str) -> httpx.Response:
        body = {"workspaceId": self._home, "kind": kind, "name": kind, "url": place}
        return self._client.post("/api/alert-channels", json=body)

    def spend_beyond_a_new_budget(self, name: str, channel_ids: list[str]) -> None:
        body = {"workspaceId": self._home, "name": name, "type": "daily_cost", "threshold": 1,
                "channelIds": channel_ids}  # fmt: skip
        assert self._client.post("/api/alerts", json=body).status_code == 201
        event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 400_000}
        key = {"Authorization": f"Bearer {self._client.headers['X-Write-Key']}"}
        answer = httpx.post(
            f"{self._client.base_url}/api/ingest", json=event | {"outputTokens": 0}, headers=key
        )
        assert answer.status_code == 200, answer.text

    def test(self, channel_id: str) -> None:
        answer = self._client.post(f"/api/alert-channels/{channel_id}/test")
        assert answer.status_code == 200, answer.text

    def send_again(self, delivery_id: str) -> None:
        answer = self._client.post(f"/api/alert-deliveries/{delivery_id}/retry")
        assert answer.status_code == 200, answer.text

    def deliveries(self) -> list[Any]:
        found: list[Any] = self._client.get("/api/alert-deliveries", params={"limit": 500}).json()[
            "deliveries"
        ]
        return found

    def sent(self) -> set[str]:
        return {one["id"] for one in self.deliveries() if one["state"] == "sent"}

    def first_attempts(self, count: int) -> list[Any]:
        """Of the newest deliveries, once each of them has one."""
        until(lambda: all(one["attempts"] for one in self.deliveries()[:count]))
        return [one["attempts"][0] for one in self.deliveries()[:count]]


def tell_all(company: Company, outside: Outside, found: dict[str, Any]) -> dict[str, str]:
    """A budget that is passed is told through each kind of channel."""
    channels = {}
    for kind, host in HOSTS.items():
        answer = company.add(kind, PLACES.get(kind, f"https://{host}/in/{kind}"))
        assert answer.status_code == 201, answer.text
        channels[kind] = answer.json()["channel"]["id"]
        found.setdefault("secret", answer.json()["signingSecret"])
    company.spend_beyond_a_new_budget("Budget", [])
    until(lambda: outside.told() >= len(HOSTS))
    found["told"] = sorted([host for host, *_ in outside.requests])
    [(_, _, headers, body)] = [one for one in outside.requests if one[1] == "/in/webhook"]
    found["webhook"] = [headers, body.decode()]
    found["letters"] = [recipients for recipients, _ in outside.mail.letters]
    return channels


def move(
    company: Company, names: NameServer, channels: dict[str, str], found: dict[str, Any]
) -> None:
    """Every receiver's name leads somewhere else after its channel was saved."""
    found["moved"] = {}
    for how, addresses in MOVES.items():
        for host in HOSTS.values():
            names.now(host, *addresses)
        for channel_id in channels.values():
            company.test(channel_id)
        attempts = company.first_attempts(len(channels))
        found["moved"][how] = sorted({str((one["status"], one["error"])) for one in attempts})
        saved = {
            company.add(kind, f"https://{HOSTS[kind]}/").status_code
            for kind in HOSTS
            if kind not in PLACES
        }
        found["moved"][how] += [str(code) for code in saved]


def look_up_once(company: Company, names: NameServer, found: dict[str, Any]) -> None:
    """A name that leads inside when it is looked up again, after it was saved and sent to."""
    names.answers[ONCE] = [[OUTSIDE], [OUTSIDE], ["127.0.0.1"]]
    made = company.add("webhook", f"https://{ONCE}/").json()
    company.test(made["channel"]["id"])
    [attempt] = company.first_attempts(1)
    asked = [names.asked[ONCE, kind] for kind in (A, AAAA)]
    found["looked up once"] = [attempt["status"], *asked]


def misbehave(company: Company, found: dict[str, Any]) -> None:
    """A receiver leads elsewhere, answers in drops, or does not end."""
    found["bad"] = {}
    for path in BAD:
        made = company.add("webhook", f"https://{HOSTS['webhook']}/{path}").json()
        company.test(made["channel"]["id"])
        [attempt] = company.first_attempts(1)
        found["bad"][path] = [attempt["status"], attempt["error"]]


def main() -> None:
    raise_loopback(*INSIDE)
    names, found = NameServer(), dict[str, Any]()
    canaries = [Canary(address, 443) for address in ("127.0.0.1", "::1", *INSIDE)]
    canaries += [Canary(address, 587) for address in ("127.0.0.1", "::1", *INSIDE)]
    assert all(canary.is_heard() for canary in canaries)
    for host in HOSTS.values():
        names.now(host, OUTSIDE)
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "certificate.pem"
        write_certificate(certificate, [*HOSTS.values(), ONCE])
        outside = Outside(certificate)
        with running(Path(folder), certificate) as client:
            company = Company(client)
            channels = tell_all(company, outside, found)
            before = outside.told()
            move(company, names, channels, found)
            found["told while moved"] = outside.told() - before
            look_up_once(company, names, found)
            failed = {one["id"] for one in company.deliveries() if one["state"] == "pending"}
            for host in HOSTS.values():
                names.now(host, OUTSIDE)
            for delivery_id in failed:
                company.send_again(delivery_id)
            until(lambda: failed <= company.sent(), 60)
            found["sent again"] = [len(failed), len(failed & company.sent())]
            misbehave(company, found)
        outside.mail.close()
    found["connections"] = sum(canary.connections() for canary in canaries)
    sys.stdout.write(f"\n{json.dumps(found)}\n")
    sys.stdout.flush()
    os._exit(0)  # handlers that never end are still writing


if __name__ == "__main__":
    main()
