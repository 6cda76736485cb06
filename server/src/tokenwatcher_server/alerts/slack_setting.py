"""The Slack channel that the settings name (`SLACK_WEBHOOK_URL`), as one of the default workspace's."""

from typing import Final

from tokenwatcher_server.access.workspaces import DEFAULT, find_workspace
from tokenwatcher_server.alerts import channel_store as stored
from tokenwatcher_server.alerts.channel_store import Listed, host_of
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.rules import forget_channel
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.control.database import Database

CHANNEL_ID: Final = "setting-slack-webhook-url"
NAME: Final = "Slack (SLACK_WEBHOOK_URL)"


async def keep_slack_setting(database: Database, seal: Seal, url: str | None, now_us: int) -> None:
    """Have the channel be what the setting says: there with its URL, or gone.

    Whether it is on stays as people left it.
    """
    async with database.transaction() as connection:
        before = await stored.find_channel(connection, CHANNEL_ID)
        workspace = await find_workspace(connection, DEFAULT)
        if url is None:
            if before is not None:
                await forget_channel(connection, before.workspace_id, CHANNEL_ID)
            await stored.delete_channel(connection, CHANNEL_ID)
            return
        channel = Channel(id=CHANNEL_ID, kind="slack", name=NAME, url=url)
        if before is not None:
            await stored.lead_elsewhere(connection, seal, channel)
        elif workspace is not None:
            listed = Listed(
                id=CHANNEL_ID,
                workspace_id=workspace.id,
                kind="slack",
                name=NAME,
                host=host_of(url),
                enabled=True,
                created_at=now_us,
            )
            await stored.add_channel(connection, seal, listed, channel)
