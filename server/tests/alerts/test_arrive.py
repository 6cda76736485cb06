"""An alert arrives: soon, once, and again where the receiver was away."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from server.tests.alerts.arranging import DOLLAR, add_channel, add_rule, spend, tried


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
    tried(admin)
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


def test_a_scheduler_with_the_cron_secret_may_evaluate_and_nobody_else(watching: Any) -> None:
    with watching.client() as scheduler:
        for bearer, status in (("wrong", 401), (watching.environment["CRON_SECRET"], 200)):
            headers = {"Authorization": f"Bearer {bearer}"}
            answer = scheduler.post("/api/alerts/evaluate", headers=headers)
            assert answer.status_code == status
