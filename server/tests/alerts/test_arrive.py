"""An alert arrives: soon, once, signed, and again where the receiver was away."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.alerts.channel_store import Listed, open_channel, rotate_secret
from tokenwatcher_server.alerts.channel_store import add_channel as add_channel_to
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.web.pages.alerts import SHOWN

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


def test_a_budget_that_is_passed_tells_its_receiver_within_seconds_and_signed(
    watching: Any, admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    made = add_channel(admin, workspace_id, receiver.url)
    rule = add_rule(admin, workspace_id, steps=[50, 100])
    spend(watching, 4)
    time.sleep(2)
    assert receiver.received == []
    spend(watching, 2)
    began = time.monotonic()
    [half] = receiver.wait_for(1)
    assert time.monotonic() - began < 5
    assert (half["event"], half["alertId"]) == ("tokenwatcher.alert.triggered", rule["id"])
    assert (half["thresholdExact"], half["valueExact"]) == ("5", "6")
    spend(watching, 4)
    bodies = receiver.wait_for(2)
    assert [body["thresholdExact"] for body in bodies] == ["5", "10"]
    headers, body = receiver.received[0]
    verified = Webhook(made["signingSecret"]).verify(body, headers)
    assert verified["alertName"] == "Budget"
    spend(watching, 3)
    time.sleep(2)
    assert len(receiver.received) == 2
    history = admin.get("/api/alerts/history").json()["history"]
    assert [one["threshold"] for one in history] == ["10", "5"]
    [measured, *_] = [admin.get(f"/api/alerts/{rule['id']}").json()["now"]]
    assert (measured["value"], measured["percent"]) == ("13", 130)


def test_a_hundred_requests_at_once_make_one_alert(
    watching: Any, admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    add_rule(admin, workspace_id)
    raw = watching.key()

    def send(_: int) -> int:
        with watching.client(raw) as app:
            return int(app.post("/api/ingest", json=DOLLAR).status_code)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(send, range(100))) == {200}
    receiver.wait_for(1)
    for _ in range(3):
        assert admin.post("/api/alerts/evaluate").json()["alerts"] == 0
    time.sleep(1.5)
    assert len(receiver.received) == 1


def test_a_restart_neither_repeats_nor_forgets(
    watching: Any, admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    add_rule(admin, workspace_id, steps=[50, 100])
    receiver.statuses = [503]
    spend(watching, 6)
    receiver.wait_for(1)
    _tried(admin)
    watching.process.kill()
    watching.process.communicate()
    watching.start()
    bodies = receiver.wait_for(2, seconds=20)
    assert [body["thresholdExact"] for body in bodies] == ["5", "5"]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    spend(watching, 5)
    assert [body["thresholdExact"] for body in receiver.wait_for(3)] == ["5", "5", "10"]


def test_each_user_over_the_limit_is_told_of_once(
    watching: Any, admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    add_rule(admin, workspace_id, type="user_daily_cost", threshold="3")
    spend(watching, 3, userId="ann")
    spend(watching, 2, userId="ben")
    spend(watching, 5)
    [about] = receiver.wait_for(1)
    assert (about["subject"], about["valueExact"]) == ("ann", "3")
    spend(watching, 1, userId="ben")
    assert {body["subject"] for body in receiver.wait_for(2)} == {"ann", "ben"}


def test_slack_gets_words_and_no_markup_of_a_strangers_name(
    watching: Any, admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    made = add_channel(admin, workspace_id, receiver.url, kind="slack")
    assert made["signingSecret"] is None
    add_rule(admin, workspace_id, type="tag_cost", tagKey="team", threshold="1")
    spend(watching, 1, tags={"team": "<!channel> & <https://evil.example|us>"})
    [told] = receiver.wait_for(1)
    said = json.dumps(told)
    assert "$1.00 of $1.00" in told["text"]
    assert "<!channel>" not in said
    assert "&lt;!channel&gt; &amp;" in told["text"]


def test_a_test_alert_really_arrives_and_says_that_it_is_one(
    admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    rule = add_rule(admin, workspace_id)
    answer = admin.post(f"/api/alerts/{rule['id']}/test").json()
    assert len(answer["deliveries"]) == 1
    [told] = receiver.wait_for(1)
    assert told["event"] == "tokenwatcher.alert.test"
    deliveries = _settled(admin)
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
    [delivery] = _settled(admin)
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
    [dead] = _settled(admin)
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
    delivery = _tried(admin)
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("pending", 429)
    tried, again = delivery["attempts"][0]["at"], delivery["nextAttemptAt"]
    waits = datetime.fromisoformat(again) - datetime.fromisoformat(tried)
    assert 595 <= waits.total_seconds() <= 605


def test_a_scheduler_with_the_cron_secret_may_evaluate_and_nobody_else(watching: Any) -> None:
    with watching.client() as scheduler:
        for bearer, status in (("wrong", 401), (watching.environment["CRON_SECRET"], 200)):
            headers = {"Authorization": f"Bearer {bearer}"}
            answer = scheduler.post("/api/alerts/evaluate", headers=headers)
            assert answer.status_code == status


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


@pytest.mark.embedded
def test_the_url_and_the_signing_secret_are_never_shown_logged_or_stored_in_the_clear(
    watching: Any, admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    url = receiver.url + "/T0000/marked-and-secret"
    made = add_channel(admin, workspace_id, url)
    rule = add_rule(admin, workspace_id)
    admin.post(f"/api/alerts/{rule['id']}/test")
    receiver.wait_for(1)
    shown = "".join(
        admin.get(path).text
        for path in ("/api/alert-channels", "/api/alert-deliveries", "/api/audit-log", "/metrics")
    )
    files = b"".join(
        (watching.data_dir / name).read_bytes() for name in ("control.db", "control.db-wal")
    )
    for secret in ("marked-and-secret", made["signingSecret"]):
        assert secret not in shown
        assert secret not in watching.log
        assert secret.encode() not in files


def _tried(admin: httpx.Client) -> Any:
    """The one delivery, once an attempt of it is written down."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = admin.get("/api/alert-deliveries").json()["deliveries"]
        if found and found[0]["attempts"]:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(found)


def _settled(admin: httpx.Client) -> Any:
    """The deliveries, once none is pending."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = admin.get("/api/alert-deliveries").json()["deliveries"]
        if found and all(one["state"] != "pending" for one in found):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_an_hour_far_beyond_the_usual_is_told(
    watching: Any, admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    add_channel(admin, workspace_id, receiver.url)
    now = time.time()
    past = [
        DOLLAR
        | {
            "timestamp": datetime.fromtimestamp(
                now - week * 604_800 + beside * 3_600, UTC
            ).isoformat()
        }
        for week in range(1, 5)
        for beside in (-1, 0, 1)
    ]
    with watching.client(watching.key()) as app:
        assert app.post("/api/ingest/batch", json={"events": past}).status_code == 200
    rule = add_rule(admin, workspace_id, type="cost_anomaly", threshold="5")
    spend(watching, 2)
    assert admin.get(f"/api/alerts/{rule['id']}").json()["now"]["value"] == "0"
    spend(watching, 5)
    [body] = receiver.wait_for(1)
    assert (body["type"], body["valueExact"], body["thresholdExact"]) == ("cost_anomaly", "6", "5")


def test_a_rotated_secret_signs_at_once_and_the_old_one_beside_it(
    admin: httpx.Client, workspace_id: str, receiver: Any
) -> None:
    made = add_channel(admin, workspace_id, receiver.url)
    address = f"/api/alert-channels/{made['channel']['id']}/rotate"
    rule = add_rule(admin, workspace_id)
    rotated = admin.post(address).json()
    secrets = [made["signingSecret"], rotated["signingSecret"]]
    assert secrets[0] != secrets[1]
    assert all(secret not in admin.get("/api/alert-channels").text for secret in secrets)
    assert admin.post(f"/api/alerts/{rule['id']}/test").status_code == 200
    receiver.wait_for(1)
    headers, body = receiver.received[0]
    for secret in secrets:
        assert Webhook(secret).verify(body, headers)["alertName"] == "Budget"

    third = admin.post(address).json()["signingSecret"]
    assert admin.post(f"/api/alerts/{rule['id']}/test").status_code == 200
    receiver.wait_for(2)
    headers, body = receiver.received[1]
    assert [secret for secret in (*secrets, third) if verifies(secret, body, headers)] == [
        secrets[1],
        third,
    ]
    slack = add_channel(admin, workspace_id, receiver.url, "slack")["channel"]["id"]
    assert admin.post(f"/api/alert-channels/{slack}/rotate").status_code == 409


def verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_the_secret_before_is_forgotten_after_its_day(tmp_path: Path) -> None:
    async def secrets_at(now_us: int) -> tuple[str, ...]:
        async with database.reading() as connection:
            channel = await open_channel(connection, seal, "c", None, now_us)
        assert channel is not None
        return channel.secrets

    async def work() -> list[tuple[str, ...]]:
        await migrate(database)
        listed = Listed("c", workspace_id, "webhook", "n", "h", enabled=True, created_at=0)
        channel = Channel(id="c", kind="webhook", name="n", url="https://x.example", secrets=("a",))
        async with database.transaction() as connection:
            workspace = await create_workspace(connection, "Company", 0)
            listed = msgspec.structs.replace(listed, workspace_id=workspace.id)
            await add_channel_to(connection, seal, listed, channel)
            await rotate_secret(connection, seal, "c", "b", 100)
        found = [await secrets_at(99), await secrets_at(100)]
        await database.close()
        return found

    database, seal, workspace_id = Database(control_url(None, tmp_path)), Seal(b"s" * 32), ""
    assert asyncio.run(work()) == [("b", "a"), ("b",)]


def test_the_overview_shows_budgets_and_hears_of_a_new_one(
    watching: Any, admin: httpx.Client, workspace_id: str
) -> None:
    spend(watching, 9)
    before = admin.get("/")
    assert "Budgets" not in before.text
    add_rule(admin, workspace_id, name="Search", threshold="100")
    add_rule(admin, workspace_id, name="Chat")
    add_rule(admin, workspace_id, name="Failures", type="error_rate", threshold="5")
    after = admin.get("/", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    budgets = after.text.split('id="budgets"')[1].split("</section>")[0]
    assert budgets.index("Chat") < budgets.index("Search")
    assert "Failures" not in budgets
    assert "90 % of the threshold" in budgets
    assert "$9.00" in budgets
    again = admin.get("/", headers={"If-None-Match": after.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/api/alerts/history", "/api/alert-deliveries"])
@pytest.mark.parametrize("limit", ["-4", "0", "100000"])
def test_a_list_of_an_impossible_length_is_refused(
    admin: httpx.Client, path: str, limit: str
) -> None:
    refused = admin.get(path, params={"limit": limit})
    assert refused.status_code == 400
    assert refused.json()["issues"][0]["path"] == "limit"
