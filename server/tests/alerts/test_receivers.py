"""A receiver that is new, gone, slow or forbidden: what becomes of its channel."""

import time
from datetime import datetime
from typing import Any

import httpx
import pytest

from server.tests.alerts.arranging import add_channel, add_rule, settled, tried
from tokenwatcher_server.web.pages.alerts import SHOWN


def test_a_test_alert_really_arrives_and_says_that_it_is_one(
    admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    rule = add_rule(admin, workspace_id)
    answer = admin.post(f"/api/alerts/{rule['id']}/test").json()
    assert len(answer["deliveries"]) == 1
    [told] = receiver.wait_for(1)
    assert told["event"] == "tokenwatcher.alert.test"
    deliveries = settled(admin)
    assert [(one["state"], one["attempts"][0]["status"]) for one in deliveries] == [("sent", 200)]
    again = admin.post(f"/api/alert-deliveries/{deliveries[0]['id']}/retry")
    assert again.status_code == 200
    receiver.wait_for(2)
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


def test_one_channel_is_tested_alone_and_only_while_it_is_on(
    admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    slack = add_channel(admin, workspace_id, receiver.url, "slack")["channel"]["id"]
    assert len(admin.post(f"/api/alert-channels/{slack}/test").json()["deliveries"]) == 1
    [told] = receiver.wait_for(1)
    assert told["text"].startswith("[test] Test of our pager: ")
    time.sleep(1)
    assert len(receiver.received) == 1
    admin.patch(f"/api/alert-channels/{slack}", json={"enabled": False})
    assert admin.post(f"/api/alert-channels/{slack}/test").status_code == 409


def test_a_receiver_that_is_gone_turns_its_channel_off(
    admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    rule = add_rule(admin, workspace_id)
    receiver.statuses = [410]
    admin.post(f"/api/alerts/{rule['id']}/test")
    receiver.wait_for(1)
    [delivery] = settled(admin)
    assert (delivery["state"], delivery["attempts"][0]["error"]) == (
        "dead",
        "The receiver answered 410.",
    )
    [channel] = admin.get("/api/alert-channels").json()["channels"]
    assert channel["enabled"] is False


def test_a_dead_letter_stays_on_the_page_however_many_come_after_it_and_is_sent_again(
    admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    channel = add_channel(admin, workspace_id, receiver.url)["channel"]["id"]
    receiver.statuses = [302]
    admin.post(f"/api/alert-channels/{channel}/test")
    [dead] = settled(admin)
    for _ in range(SHOWN):
        admin.post(f"/api/alert-channels/{channel}/test")
    receiver.wait_for(1 + SHOWN)
    newest = admin.get("/api/alert-deliveries", params={"limit": SHOWN}).json()["deliveries"]
    assert dead["id"] not in [one["id"] for one in newest]
    asked = {"state": "dead"}
    [found] = admin.get("/api/alert-deliveries", params=asked).json()["deliveries"]
    assert found == dead
    page = admin.get("/alerts").text
    again = f"/alerts/deliveries/{dead['id']}/retry"
    assert again in page
    assert "answered 302" in page
    assert page.index(again) < page.index(newest[0]["id"])
    form = {"csrf_token": admin.headers["X-CSRF-Token"]}
    assert admin.post(again, data=form).status_code == 303
    receiver.wait_for(2 + SHOWN)
    ids = [headers["webhook-id"] for headers, _ in receiver.received]
    assert ids[0] == ids[-1]
    assert len(set(ids)) == 1 + SHOWN
    assert admin.get("/api/alert-deliveries", params=asked).json()["deliveries"] == []


def test_a_receiver_that_asks_for_patience_gets_it(
    admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    rule = add_rule(admin, workspace_id)
    receiver.statuses, receiver.retry_after = [429], "600"
    admin.post(f"/api/alerts/{rule['id']}/test")
    delivery = tried(admin)
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("pending", 429)
    tried_at, again = delivery["attempts"][0]["at"], delivery["nextAttemptAt"]
    waits = datetime.fromisoformat(again) - datetime.fromisoformat(tried_at)
    assert 595 <= waits.total_seconds() <= 605


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/hook",
        "http://localhost:1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f000001/",
        "https://[::ffff:10.0.0.1]/",
        "ftp://example.com/",
        "https://user:pass@example.com/",
        "nonsense",
    ],
)
def test_a_channel_to_a_private_address_is_refused_when_it_is_saved(
    admin: httpx.Client, workspace_id: str, url: str
) -> None:
    body = {"workspaceId": workspace_id, "kind": "webhook", "name": "inside", "url": url}
    answer = admin.post("/api/alert-channels", json=body)
    assert answer.status_code == 400, answer.text
    assert admin.get("/api/alert-channels").json()["channels"] == []
