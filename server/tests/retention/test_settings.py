"""Who may say how long things are kept says it over HTTP, on the page, or on the machine."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.tests.stores.conftest import Cast
from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.control.audit import Question, find_entries
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.clock import DAY_US, FrozenClock
from tokenwatcher_server.retention.keeping import keep
from tokenwatcher_server.retention.upkeep import Retention
from tokenwatcher_server.stores import open_store


def the_workspace(admin: httpx.Client) -> dict[str, Any]:
    [found] = admin.get("/api/workspaces").json()["workspaces"]
    assert isinstance(found, dict)
    return found


def kept(admin: httpx.Client) -> tuple[Any, Any]:
    found = the_workspace(admin)
    return found["keepEventsDays"], found["keepPromptsDays"]


def test_a_workspace_keeps_events_for_ever_and_prompts_for_thirty_days(
    admin: httpx.Client,
) -> None:
    assert kept(admin) == (None, 30)


def test_what_a_change_leaves_out_stays_as_it_is(admin: httpx.Client) -> None:
    place = f"/api/workspaces/{the_workspace(admin)['id']}"
    answer = admin.patch(place, json={"keepEventsDays": 90})
    assert answer.status_code == 200
    assert answer.json()["workspace"]["keepEventsDays"] == 90
    assert kept(admin) == (90, 30)
    admin.patch(place, json={"keepPromptsDays": None})
    assert kept(admin) == (90, None)
    admin.patch(place, json={"name": "Renamed"})
    assert (the_workspace(admin)["name"], *kept(admin)) == ("Renamed", 90, None)
    admin.patch(place, json={"keepEventsDays": None, "keepPromptsDays": 7})
    assert kept(admin) == (None, 7)
    change = admin.get("/api/audit-log", params={"limit": 1}).json()["entries"][0]
    assert change["action"] == "workspace.change"
    assert (change["before"]["keepEventsDays"], change["before"].get("keepPromptsDays")) == (
        90,
        None,
    )
    assert change["after"]["keepPromptsDays"] == 7


@pytest.mark.parametrize("days", [0, -1, 36_501, 1.5, "ten", True])
def test_days_that_are_none_are_refused_by_their_field(admin: httpx.Client, days: Any) -> None:
    place = f"/api/workspaces/{the_workspace(admin)['id']}"
    answer = admin.patch(place, json={"keepEventsDays": days})
    assert answer.status_code == 400
    assert "keepEventsDays" in answer.text
    assert kept(admin) == (None, 30)


def test_the_page_sets_both_and_an_empty_field_is_for_ever(admin: httpx.Client) -> None:
    token = {"csrf_token": admin.headers.pop("X-CSRF-Token")}
    place = f"/workspaces/{the_workspace(admin)['id']}"
    form = {"name": "default", "keepEventsDays": "365", "keepPromptsDays": "14", **token}
    assert admin.post(place, data=form).status_code == 303
    assert kept(admin) == (365, 14)
    page = admin.get("/projects", headers={"Accept": "text/html"}).text
    assert "events kept 365 d" in page
    assert "prompts kept 14 d" in page
    assert admin.post(place, data={**form, "keepEventsDays": "soon"}).status_code == 400
    assert admin.post(place, data={"name": "Another", **token}).status_code == 303
    assert kept(admin) == (365, 14)
    empty = {**form, "keepEventsDays": "", "keepPromptsDays": ""}
    assert admin.post(place, data=empty).status_code == 303
    assert kept(admin) == (None, None)


def test_the_command_line_sets_and_shows_both(home: Any, admin: httpx.Client) -> None:
    home.instance.command("retention", "set", "--keep-events-days", "400")
    assert kept(admin) == (400, 30)
    home.instance.command("retention", "set", "--keep-prompts-days", "forever")
    assert kept(admin) == (400, None)
    home.instance.command(
        "retention", "set", "--keep-events-days", "forever", "--keep-prompts-days", "3"
    )
    [shown] = json.loads(home.instance.command("retention", "show", "--json"))
    assert shown == {"workspace": "default", "keepEventsDays": None, "keepPromptsDays": 3}


def test_what_is_too_old_is_removed_and_noted(home: Any, admin: httpx.Client) -> None:
    for days_ago in (1, 9, 20):
        home.send(days_ago=days_ago, prompt=f"asked {days_ago} days ago")
    nothing = home.instance.command("retention", "apply")
    assert "Nothing is older" in nothing
    home.instance.command(
        "retention", "set", "--keep-events-days", "15", "--keep-prompts-days", "5"
    )
    done = json.loads(home.instance.command("retention", "apply", "--json"))["removed"]
    assert [(each["what"], each["count"]) for each in done] == [("events", 1), ("prompts", 1)]
    assert home.calls() == 2
    ids = [each["id"] for each in home.get("/api/events", days=365)["events"]]
    prompts = [home.get(f"/api/events/{each}")["event"].get("prompt") for each in ids]
    assert prompts == ["asked 1 days ago", None]
    assert "Sound: 2 events" in home.instance.command("store", "verify")
    entries = admin.get("/api/audit-log", params={"limit": 2}).json()["entries"]
    assert [(each["action"], each["objectName"]) for each in entries] == [
        ("prompts.expire", "default"), ("events.expire", "default"),
    ]  # fmt: skip
    assert [entry["after"] for entry in entries][1]["events"] == 1
    page = admin.get("/audit-log", headers={"Accept": "text/html"}).text
    assert "removed the old events of" in page


def test_the_server_removes_by_itself_what_grows_too_old(tmp_path: Path) -> None:
    cast = Cast()

    async def scenario() -> tuple[list[int], list[str]]:
        clock = FrozenClock(cast.noon)
        database = Database(control_url(None, tmp_path))
        await migrate(database)
        async with database.transaction() as connection:
            made = await create_workspace(connection, "Shop", cast.noon)
            await keep(connection, made.id, events_days=10, prompts_days=None)
        store = await open_store(None, tmp_path, clock)
        await store.append(
            [[cast.event(workspace_id=made.id, occurred_at=cast.noon - days * DAY_US)
              for days in (9, 12, 14)]]
        )  # fmt: skip
        retention = Retention(database, store, clock, first_seconds=0)
        task = asyncio.create_task(retention.run())
        left: list[int] = []
        while left[-1:] != [1]:
            await asyncio.sleep(0.01)
            left.append((await store.statistics())["events"])
        entries: list[str] = []
        while entries == []:
            await asyncio.sleep(0.01)
            entries = await _actions(database)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await store.close()
        await database.close()
        return left, entries

    left, entries = asyncio.run(scenario())
    assert set(left) <= {3, 1}
    assert entries == ["server: events.expire"]


async def _actions(database: Database) -> list[str]:
    asked = Question(workspaces=None, start_us=0, end_us=2**62, object_kind="workspace")
    async with database.reading() as connection:
        found = await find_entries(connection, asked)
    return [f"{each.actor.kind}: {each.entry.action}" for each in found]
