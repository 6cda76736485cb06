"""What signs and seals a channel is never told, and changes without a gap."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from server.tests.alerts.arranging import add_channel, add_rule
from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.alerts.channel_store import Listed, open_channel, rotate_secret
from tokenwatcher_server.alerts.channel_store import add_channel as add_channel_to
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate


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
