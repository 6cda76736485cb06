"""Keys are shown once, end when they should, and every change of one is written down."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tokenwatcher_server.access import key_changes
from tokenwatcher_server.access.keys import Key, create_key
from tokenwatcher_server.access.verifier import KeyVerifier
from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.control.audit import Actor
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.clock import MICROSECONDS, FrozenClock
from tokenwatcher_server.kernel.errors import AppError

Browser = Callable[[], httpx.Client]
EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 1}
NOW_US = 1_800_000_000_000_000


def sends(door: Any, raw: str) -> int:
    with door.client(raw) as app:
        return int(app.post("/api/ingest", json=EVENT).status_code)


def make(browser: httpx.Client, **body: Any) -> dict[str, Any]:
    [workspace, *_] = browser.get("/api/workspaces").json()["workspaces"]
    answer = browser.post("/api/api-keys", json={"workspaceId": workspace["id"], **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_revoked_key_is_refused_on_the_next_request(door: Any, signed_in: Browser) -> None:
    browser = signed_in()
    made = make(browser)
    assert sends(door, made["rawKey"]) == 200
    assert browser.delete(f"/api/api-keys/{made['apiKey']['id']}").status_code == 204
    assert sends(door, made["rawKey"]) == 401


def test_a_rotated_key_holds_beside_its_successor_until_the_overlap_ends(
    door: Any, signed_in: Browser
) -> None:
    browser = signed_in()
    old = make(browser, name="rotated", kind="test", expiresInDays=30)
    address = f"/api/api-keys/{old['apiKey']['id']}/rotate"
    answer = browser.post(address, json={"overlapHours": 2})
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert new["rawKey"] != old["rawKey"]
    assert (new["apiKey"]["name"], new["apiKey"]["kind"]) == ("rotated", "test")
    assert new["apiKey"]["expiresAt"] is not None
    assert sends(door, old["rawKey"]) == sends(door, new["rawKey"]) == 200
    listed = {key["id"]: key for key in browser.get("/api/api-keys").json()["apiKeys"]}
    assert listed[old["apiKey"]["id"]]["replacedBy"] == new["apiKey"]["id"]
    assert listed[old["apiKey"]["id"]]["expiresAt"] < new["apiKey"]["expiresAt"]
    assert browser.post(address, json={}).status_code == 409


def test_a_key_rotated_without_an_overlap_ends_at_once(door: Any, signed_in: Browser) -> None:
    browser = signed_in()
    old = make(browser)
    address = f"/api/api-keys/{old['apiKey']['id']}/rotate"
    new = browser.post(address, json={"overlapHours": 0}).json()
    assert sends(door, old["rawKey"]) == 401
    assert sends(door, new["rawKey"]) == 200


@pytest.mark.parametrize("body", [{"overlapHours": -1}, {"overlapHours": 1.5},
                                  {"overlapHours": 10**9}])  # fmt: skip
def test_an_overlap_that_is_none_is_refused(signed_in: Browser, body: dict[str, Any]) -> None:
    browser = signed_in()
    key = make(browser)["apiKey"]["id"]
    assert browser.post(f"/api/api-keys/{key}/rotate", json=body).status_code == 400


def test_a_key_that_expires_is_refused_from_that_moment_on(tmp_path: Any) -> None:
    async def scenario() -> None:
        database = Database(control_url(None, tmp_path))
        await migrate(database)
        clock = FrozenClock(NOW_US)
        async with database.transaction() as connection:
            workspace = await create_workspace(connection, "Acme", NOW_US)
            made = await create_key(
                connection, workspace_id=workspace.id, project_id=None, name="brief", kind="live",
                now_us=NOW_US, expires_at=NOW_US + 60 * MICROSECONDS,
            )  # fmt: skip
        verifier = KeyVerifier(database, clock)
        assert isinstance(await verifier.verify(made.raw), Key)
        clock.advance(seconds=59.999)
        await verifier.refresh()
        assert verifier.cached(made.raw) is not None
        clock.advance(seconds=0.001)
        assert verifier.cached(made.raw) is None
        assert await verifier.verify(made.raw) is None
        await database.close()

    asyncio.run(scenario())


def test_every_change_of_a_key_is_written_down_without_the_key(
    door: Any, signed_in: Browser
) -> None:
    browser = signed_in()
    made = make(browser, name="watched")
    key = f"/api/api-keys/{made['apiKey']['id']}"
    assert browser.patch(key, json={"name": "renamed"}).status_code == 200
    successor = browser.post(f"{key}/rotate", json={}).json()
    assert browser.delete(key).status_code == 204
    assert browser.delete(key).status_code == 204
    raw = door.key("--name", "by command")
    log = browser.get("/api/audit-log", params={"limit": 50})
    of_key = [e for e in log.json()["entries"] if e["objectId"] == made["apiKey"]["id"]]
    assert [entry["action"] for entry in of_key] == [
        "key.revoke",
        "key.rotate",
        "key.rename",
        "key.create",
    ]
    assert {entry["actor"]["kind"] for entry in of_key} == {"user"}
    assert all(entry["address"].startswith("198.51.") for entry in of_key)
    assert "by command" in log.text
    for secret in (made["rawKey"], successor["rawKey"], raw):
        assert secret not in log.text


def test_the_command_line_rotates_a_key_beside_the_server(door: Any) -> None:
    made = door.cli("keys", "create", "--expires-in-days", "30")
    assert made["expiresAt"] is not None
    assert sends(door, made["rawKey"]) == 200
    successor = door.cli("keys", "rotate", made["id"], "--overlap-hours", "1")
    assert sends(door, successor["rawKey"]) == sends(door, made["rawKey"]) == 200
    text = door.command("keys", "list")
    assert "until 20" in text


def test_a_key_of_an_older_deployment_still_sends_and_one_that_is_short_does_not(
    new_instance: Callable[..., Any],
) -> None:
    old = "older-deployment-key_q8Zr2Lw0Vn5Xc7Kd9Fh1"
    running = new_instance("long", TOKENWATCHER_API_KEY=old)
    assert sends(running, old) == 200
    assert sends(running, old + "x") == 401
    with running.client(old) as reader:
        assert reader.get("/api/stats").status_code == 403
    short = new_instance("short", TOKENWATCHER_API_KEY="short")
    assert sends(short, "short") == 401


def test_a_key_of_ours_in_the_environment_is_not_kept_alive_by_it(
    new_instance: Callable[..., Any],
) -> None:
    running = new_instance()
    raw = running.key("--name", "mine")
    running.stop()
    running.environment["TOKENWATCHER_API_KEY"] = raw
    running.start()
    assert sends(running, raw) == 200
    running.command("keys", "revoke", raw[:16])
    time.sleep(1.1)
    assert sends(running, raw) == 401


def test_a_script_that_makes_keys_without_end_is_stopped(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_changes, "MOST_KEYS", 3)

    async def scenario() -> None:
        database = Database(control_url(None, tmp_path))
        await migrate(database)
        async with database.transaction() as connection:
            workspace = await create_workspace(connection, "Acme", NOW_US)

            async def another() -> None:
                await key_changes.make(
                    connection, Actor("command", "script"), workspace_id=workspace.id,
                    project_id=None, name="key", kind="live", now_us=NOW_US,
                )  # fmt: skip

            for _ in range(3):
                await another()
            with pytest.raises(AppError, match="revoke some first"):
                await another()
        await database.close()

    asyncio.run(scenario())
