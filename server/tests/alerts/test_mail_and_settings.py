"""Alerts by e-mail, to PagerDuty, and to the Slack channel that the settings name."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_string, policy
from typing import Any

import httpx
import pytest

from server.tests.alerts.conftest import PASSWORD
from server.tests.alerts.test_channels import INTEGRATION_KEY as KEY
from server.tests.alerts.test_channels import alert, sent
from server.tests.outbound.mail_server import MailServer


@pytest.fixture
def inbox() -> Iterator[MailServer]:
    """A mail server on this machine, without encryption."""
    found = MailServer()
    yield found
    found.close()


@contextmanager
def signed_in(instance: Any) -> Iterator[httpx.Client]:
    with instance.client() as client:
        answer = client.post("/api/auth/login", json={"username": "admin", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
        yield client


def add(client: httpx.Client, kind: str, url: str) -> httpx.Response:
    workspace = client.get("/api/workspaces").json()["workspaces"][0]["id"]
    body = {"workspaceId": workspace, "kind": kind, "name": "ops", "url": url}
    return client.post("/api/alert-channels", json=body)


def test_a_test_alert_arrives_by_mail(new_instance: Callable[..., Any], inbox: MailServer) -> None:
    instance = new_instance(
        DASHBOARD_PASSWORD=PASSWORD,
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=str(inbox.port),
        SMTP_TLS="none",
        ALERT_EMAIL_FROM="tokenwatcher@example.com",
        WEBHOOK_ALLOWED_CIDRS="127.0.0.1/32",
        PUBLIC_URL="https://tokens.example.com",
    )
    with signed_in(instance) as client:
        made = add(client, "email", "ops@example.com")
        assert made.status_code == 201, made.text
        assert made.json()["channel"]["host"] == "ops@example.com"
        refused = add(client, "email", "ops@example.com,other@example.com")
        assert (refused.status_code, refused.json()["issues"][0]["path"]) == (400, "url")
        workspace = made.json()["channel"]["workspaceId"]
        rule = {
            "workspaceId": workspace,
            "name": "Chat <b>",
            "type": "daily_cost",
            "threshold": "10",
        }
        rule_id = client.post("/api/alerts", json=rule).json()["alert"]["id"]
        assert client.post(f"/api/alerts/{rule_id}/test").status_code in {200, 201, 202}
        deadline = time.monotonic() + 10
        while not inbox.letters and time.monotonic() < deadline:
            time.sleep(0.05)
        [delivery] = client.get("/api/alert-deliveries").json()["deliveries"]
    [(recipients, content)] = inbox.letters
    assert recipients == ["ops@example.com"]
    letter = message_from_string(content, policy=policy.default)
    plain, html = letter.get_body(["plain"]), letter.get_body(["html"])
    assert plain is not None
    assert html is not None
    assert letter["subject"].startswith("Test: [test] Chat <b>: spend today")
    assert plain.get_content().startswith("[test] Chat <b>: spend today")
    assert "<strong>[test] Chat &lt;b&gt;:" in html.get_content()
    assert f'href="https://tokens.example.com/alerts/{rule_id}"' in html.get_content()
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("sent", 250)


def test_mail_needs_a_mail_server(admin: httpx.Client) -> None:
    refused = add(admin, "email", "ops@example.com")
    assert (refused.status_code, refused.json()["issues"][0]["path"]) == (400, "kind")
    assert "SMTP_HOST" in refused.text


@pytest.mark.embedded
def test_an_integration_key_is_taken_and_never_shown(watching: Any, admin: httpx.Client) -> None:
    assert add(admin, "pagerduty", "too short").status_code == 400
    made = add(admin, "pagerduty", KEY)
    assert made.json()["channel"]["host"] == "events.pagerduty.com"
    assert made.json()["signingSecret"] is None
    shown = made.text + admin.get("/api/alert-channels").text + admin.get("/alerts").text
    assert KEY not in shown
    with sqlite3.connect(watching.data_dir / "control.db") as database:
        assert KEY not in "\n".join(database.iterdump())
    database.close()


def test_an_incident_is_opened_and_resolved_under_one_key() -> None:
    opened = sent("pagerduty", alert())
    closed = sent("pagerduty", alert(state="resolved", value="9"))
    other = sent("pagerduty", alert(subject="ann"))
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"] != other["dedup_key"]
    assert sent("pagerduty", alert(state="test"))["dedup_key"] != opened["dedup_key"]
    tomorrow = sent("pagerduty", alert(window_start=1))
    assert tomorrow["dedup_key"] != opened["dedup_key"]
    assert opened["routing_key"] == KEY
    assert len(sent("pagerduty", alert(subject="x" * 4_000))["payload"]["summary"]) <= 1_024


def test_the_slack_channel_of_the_settings_is_there_until_it_is_unset(
    new_instance: Callable[..., Any], receiver: Any
) -> None:
    opened = {"WEBHOOK_ALLOWED_CIDRS": "127.0.0.1/32", "WEBHOOK_ALLOWED_PORTS": str(receiver.port)}
    instance = new_instance(
        DASHBOARD_PASSWORD=PASSWORD, SLACK_WEBHOOK_URL=f"{receiver.url}/old", **opened
    )
    instance.stop()
    instance.environment["SLACK_WEBHOOK_URL"] = f"{receiver.url}/secret-part"
    instance.start()
    with signed_in(instance) as client:
        [channel] = client.get("/api/alert-channels").json()["channels"]
        assert (channel["kind"], channel["host"]) == ("slack", "127.0.0.1")
        assert "secret-part" not in client.get("/alerts").text + client.get("/settings").text
        rule = {"workspaceId": channel["workspaceId"], "name": "Budget", "type": "daily_cost",
                "threshold": "10"}  # fmt: skip
        rule_id = client.post("/api/alerts", json=rule).json()["alert"]["id"]
        client.post(f"/api/alerts/{rule_id}/test")
        [body] = receiver.wait_for(1)
        assert "Budget" in json.dumps(body)
    instance.stop()
    del instance.environment["SLACK_WEBHOOK_URL"]
    instance.start()
    with signed_in(instance) as client:
        assert client.get("/api/alert-channels").json()["channels"] == []
