"""What a rule may be, and who may make one."""

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from tokenwatcher_server.alerts.rule import Rule, watches_the_same

Browser = Callable[..., httpx.Client]
BUDGET = {"name": "Budget", "type": "monthly_cost", "threshold": "100.5"}


def home(browser: httpx.Client) -> str:
    return str(browser.get("/api/workspaces").json()["workspaces"][0]["id"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"threshold": "0"}, "threshold"),
        ({"threshold": "-1"}, "threshold"),
        ({"threshold": "0.0000000000001"}, "threshold"),
        ({"threshold": "1e400"}, "threshold"),
        ({"threshold": "NaN"}, "threshold"),
        ({"steps": []}, "steps"),
        ({"steps": [100, 50]}, "steps"),
        ({"steps": [0]}, "steps"),
        ({"type": "model_daily_cost"}, "model"),
        ({"type": "tag_cost"}, "tagKey"),
        ({"tagKey": "team"}, "tagValue"),
        ({"type": "prompt_growth"}, "tagKey"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"channelIds": ["nobody's"]}, "channelIds"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_the_name_of_its_field(
    signed_in: Browser, change: dict[str, Any], field: str
) -> None:
    browser = signed_in()
    answer = browser.post("/api/alerts", json={"workspaceId": home(browser)} | BUDGET | change)
    assert answer.status_code == 400, answer.text
    assert field in [issue["path"] for issue in answer.json()["issues"]]


def test_a_rule_is_made_changed_and_removed_and_each_is_written_down(signed_in: Browser) -> None:
    browser = signed_in()
    made = browser.post("/api/alerts", json={"workspaceId": home(browser)} | BUDGET).json()["alert"]
    assert (made["threshold"], made["unit"], made["steps"]) == ("100.5", "usd", [100])
    address = f"/api/alerts/{made['id']}"
    changed = browser.patch(address, json={"threshold": 80, "steps": [50, 100]}).json()["alert"]
    assert (changed["threshold"], changed["steps"]) == ("80", [50, 100])
    assert browser.patch(address, json={"threshold": 0}).status_code == 400
    assert made["id"] in [one["id"] for one in browser.get("/api/alerts").json()["alerts"]]
    assert browser.delete(address).status_code == 204
    assert browser.get(address).status_code == 404
    query = {"objectKind": "alert", "objectId": made["id"]}
    entries = browser.get("/api/audit-log", params=query).json()["entries"]
    assert [entry["action"] for entry in entries] == [
        "alert.remove",
        "alert.change",
        "alert.create",
    ]


def test_a_new_name_leaves_alone_since_when_a_rule_watches() -> None:
    rule = Rule(id="r", workspace_id="w", project_id=None, name="n", type="daily_cost", threshold=1)
    for change in ({"name": "m"}, {"channel_ids": ("c",)}, {"muted_until": 5}):
        assert watches_the_same(rule, msgspec.structs.replace(rule, **change))
    for other in ({"threshold": 2}, {"steps": (50,)}, {"model": "gpt-4o"}, {"enabled": False}):
        assert not watches_the_same(rule, msgspec.structs.replace(rule, **other))


def test_a_rule_is_muted_until_an_instant_and_heard_again(signed_in: Browser) -> None:
    browser = signed_in()
    made = browser.post("/api/alerts", json={"workspaceId": home(browser)} | BUDGET).json()["alert"]
    address = f"/api/alerts/{made['id']}"
    muted = browser.patch(address, json={"mutedUntil": "2099-05-01T10:00:00+02:00"})
    assert muted.json()["alert"]["mutedUntil"] == "2099-05-01T08:00:00.000000Z"
    for wrong in ("tomorrow", "2099-05-01T08:00:00", 4_081_000_000_000_000):
        refused = browser.patch(address, json={"mutedUntil": wrong})
        assert (refused.status_code, refused.json()["issues"][0]["path"]) == (400, "mutedUntil")
    heard = browser.patch(address, json={"mutedUntil": None})
    assert heard.json()["alert"]["mutedUntil"] is None


def test_a_rule_is_made_in_the_zone_of_its_workspace_unless_it_names_one(
    signed_in: Browser,
) -> None:
    browser = signed_in()
    made = browser.post("/api/workspaces", json={"name": "Far away"}).json()["workspace"]
    assert made["timezone"] == "UTC"
    address = f"/api/workspaces/{made['id']}"
    changed = browser.patch(address, json={"timezone": "Pacific/Auckland"}).json()["workspace"]
    assert (changed["name"], changed["timezone"]) == ("Far away", "Pacific/Auckland")
    body = {"workspaceId": made["id"]} | BUDGET

    def zone(**named: str) -> str:
        return str(browser.post("/api/alerts", json=body | named).json()["alert"]["timezone"])

    assert (zone(), zone(timezone="UTC")) == ("Pacific/Auckland", "UTC")
    for wrong in ("Mars/Olympus", "../../etc/passwd", ""):
        refused = browser.patch(address, json={"timezone": wrong})
        assert (refused.status_code, refused.json()["issues"][0]["path"]) == (400, "timezone")
    assert browser.patch(address, json={"name": "Near"}).json()["workspace"] == changed | {
        "name": "Near"
    }
    browser.delete(address)


def test_what_is_removed_takes_its_alerts_with_it(signed_in: Browser) -> None:
    browser = signed_in()
    made = browser.post("/api/workspaces", json={"name": "Short-lived"}).json()["workspace"]["id"]
    project = {"workspaceId": made, "name": "Pilot"}
    project_id = browser.post("/api/projects", json=project).json()["project"]["id"]
    whole = browser.post("/api/alerts", json={"workspaceId": made} | BUDGET).json()["alert"]["id"]
    body = {"workspaceId": made, "projectId": project_id} | BUDGET
    part = browser.post("/api/alerts", json=body).json()["alert"]["id"]
    assert browser.delete(f"/api/projects/{project_id}").status_code == 204
    assert browser.get(f"/api/alerts/{part}").status_code == 404
    assert browser.get(f"/api/alerts/{whole}").status_code == 200
    assert browser.delete(f"/api/workspaces/{made}").status_code == 204
    assert browser.get(f"/api/alerts/{whole}").status_code == 404


def test_a_channel_that_is_removed_leaves_no_rule_without_one(signed_in: Browser) -> None:
    browser = signed_in()

    def channel() -> str:
        body = {"workspaceId": home(browser), "kind": "pagerduty", "name": "n", "url": "0" * 32}
        return str(browser.post("/api/alert-channels", json=body).json()["channel"]["id"])

    first, second = channel(), channel()
    body = {"workspaceId": home(browser), "channelIds": [first, second]} | BUDGET
    made = browser.post("/api/alerts", json=body).json()["alert"]["id"]
    address = f"/api/alerts/{made}"
    assert browser.delete(f"/api/alert-channels/{first}").status_code == 204
    assert browser.get(address).json()["alert"]["channelIds"] == [second]
    assert browser.patch(address, json={"name": "New name"}).status_code == 200
    refused = browser.delete(f"/api/alert-channels/{second}")
    assert (refused.status_code, refused.json()["code"]) == (409, "ONLY_CHANNEL")
    assert "New name" in refused.text
    assert browser.patch(address, json={"channelIds": []}).status_code == 200
    assert browser.delete(f"/api/alert-channels/{second}").status_code == 204
    browser.delete(address)


def test_a_viewer_sees_rules_and_changes_none(signed_in: Browser, person: Browser) -> None:
    owner, viewer = signed_in(), person("viewer")
    body = {"workspaceId": home(owner)} | BUDGET
    made = owner.post("/api/alerts", json=body).json()["alert"]
    assert viewer.get(f"/api/alerts/{made['id']}").status_code == 200
    assert viewer.post("/api/alerts", json=body).status_code == 403
    assert viewer.patch(f"/api/alerts/{made['id']}", json={"enabled": False}).status_code == 403
    assert viewer.delete(f"/api/alerts/{made['id']}").status_code == 403
    assert viewer.post(f"/api/alerts/{made['id']}/test").status_code == 403
    assert viewer.get("/api/alert-channels").status_code == 403
    assert viewer.get("/api/alert-deliveries").status_code == 403
    owner.delete(f"/api/alerts/{made['id']}")


def test_a_rule_of_another_workspace_is_not_there(signed_in: Browser, person: Browser) -> None:
    owner = signed_in()
    theirs = owner.post("/api/workspaces", json={"name": "Elsewhere"}).json()["workspace"]["id"]
    made = owner.post("/api/alerts", json={"workspaceId": theirs} | BUDGET).json()["alert"]
    stranger = person("admin")
    address = f"/api/alerts/{made['id']}"
    assert stranger.get(address).status_code == 404
    assert stranger.patch(address, json={"enabled": False}).status_code == 404
    assert stranger.delete(address).status_code == 404
    assert stranger.post("/api/alerts", json={"workspaceId": theirs} | BUDGET).status_code == 404
    assert made["id"] not in stranger.get("/api/alerts").text


def test_a_preview_saves_nothing_and_is_that_of_the_rule_once_saved(signed_in: Browser) -> None:
    browser = signed_in()
    body = {"workspaceId": home(browser)} | BUDGET
    before = browser.get("/api/alerts").json()
    seen = browser.post("/api/alerts/preview", json=body)
    assert seen.status_code == 200, seen.text
    assert browser.get("/api/alerts").json() == before
    assert (len(seen.json()["preview"]["days"]), seen.json()["preview"]["unit"]) == (90, "usd")
    made = browser.post("/api/alerts", json=body).json()["alert"]
    saved = browser.get(f"/api/alerts/{made['id']}/preview")
    assert saved.json() == seen.json()
    refused = browser.post("/api/alerts/preview", json=body | {"threshold": "0"})
    assert (refused.status_code, refused.json()["issues"][0]["path"]) == (400, "threshold")
    browser.delete(f"/api/alerts/{made['id']}")


def test_what_a_rule_is_about_is_changed_with_the_same_care(signed_in: Browser) -> None:
    browser = signed_in()
    made = browser.post("/api/alerts", json={"workspaceId": home(browser)} | BUDGET).json()["alert"]
    address = f"/api/alerts/{made['id']}"
    change = {"provider": "openai", "tagKey": "team", "tagValue": "a", "timezone": "Asia/Tokyo"}
    changed = browser.patch(address, json=change).json()["alert"]
    assert change.items() <= changed.items()
    refused = browser.patch(address, json={"tagValue": None})
    assert (refused.status_code, refused.json()["issues"][0]["path"]) == (400, "tagValue")
    assert browser.patch(address, json={"timezone": "Mars/Olympus"}).status_code == 400
    cleared = browser.patch(address, json={"provider": None, "tagKey": None, "tagValue": None})
    assert cleared.json()["alert"]["provider"] is None
    browser.delete(address)
