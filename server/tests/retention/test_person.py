"""`tokenwatcher erase` takes a person out, says so without naming them, and for good."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from server.tests.stores.conftest import Cast
from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.alerts.forgetting import forget_person
from tokenwatcher_server.cli.main import main
from tokenwatcher_server.control.audit import Actor, Question, find_entries, record
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.retention.person import EraseArguments, People
from tokenwatcher_server.retention.person_notes import begun
from tokenwatcher_server.stores import open_store

PERSON = "ann-5f2c@harbour.example"


def cli(*arguments: object) -> Result:
    """Run a command in a thread of this process, as starting one takes a second or two."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(CliRunner().invoke, main, [*map(str, arguments)]).result()


def erase(home: Any, *options: str, user: str = PERSON) -> dict[str, Any]:
    done = home.instance.command("erase", "--user", user, *options, "--json")
    found: dict[str, Any] = json.loads(done)
    return found


def entries(admin: httpx.Client, kind: str = "person") -> list[dict[str, Any]]:
    answer = admin.get("/api/audit-log", params={"objectKind": kind})
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


@pytest.fixture
def with_people(home: Any) -> Any:
    """Three events of the person, one of them as an end user, and one of somebody else."""
    for said in ({"userId": PERSON, "prompt": "why?"}, {"userId": PERSON}, {"endUserId": PERSON},
                 {"userId": "ben"}):  # fmt: skip
        home.send(**said)
    return home


def test_a_persons_events_are_removed_and_noted_without_the_id(
    with_people: Any, admin: httpx.Client
) -> None:
    tried = erase(with_people, "--dry-run")
    assert (tried["events"], tried["dryRun"], with_people.calls()) == (3, True, 4)
    assert tried["workspaces"] == [
        {"workspace": "default", "events": 3, "inputTokens": 3_000, "outputTokens": 30,
         "costUsd": "0.000468000000"}
    ]  # fmt: skip
    assert entries(admin) == []

    done = erase(with_people)
    assert (done["events"], done["dryRun"], done["unlinked"]) == (3, False, False)
    assert done["person"] == tried["person"]
    assert with_people.calls() == 1
    noted = entries(admin)
    assert [each["action"] for each in noted] == ["person.erase-end", "person.erase-begin"]
    assert {each["objectName"] for each in noted} == {done["person"]}
    assert {each["after"]["events"] for each in noted} == {3}
    everything = admin.get("/api/audit-log", params={"limit": 500}).text
    page = admin.get("/audit-log", headers={"Accept": "text/html"}).text
    assert "erased the person" in page
    assert PERSON not in everything + page
    assert erase(with_people)["events"] == 0
    assert len(entries(admin)) == 2
    assert "Sound: 1 events" in with_people.instance.command("store", "verify")


def test_what_was_begun_and_never_noted_as_done_is_noted_when_it_is_asked_for_again(
    tmp_path: Path,
) -> None:
    """As where the server was killed between the two."""
    cast = Cast()
    kinds: list[str] = []

    async def scenario() -> None:
        clock = FrozenClock(cast.noon)
        database = Database(control_url(None, tmp_path))
        await migrate(database)
        async with database.transaction() as connection:
            made = await create_workspace(connection, "Shop", cast.noon)
        store = await open_store(None, tmp_path, clock)
        await store.append([[cast.event(workspace_id=made.id, user_id="ann")]])
        people = People(database, store, clock, forget_person, b"a secret")
        command, asked = Actor("command", "operator"), EraseArguments("ann")
        async with database.transaction() as connection:
            entry = begun(people.digest("ann"), made.id, unlinked=False, events=1)
            await record(connection, command, entry, cast.noon)
        [_] = await store.erase([Erasure(workspaces=(made.id,), fate="remove", user="ann")])
        for _ in range(2):
            assert (await people.erase(command, asked)).events == 0
        question = Question(workspaces=None, start_us=0, end_us=2**62, object_kind="person")
        async with database.reading() as connection:
            kinds.extend(each.entry.action for each in await find_entries(connection, question))
        await store.close()
        await database.close()

    asyncio.run(scenario())
    assert kinds == ["person.erase-end", "person.erase-begin"]


@pytest.mark.parametrize("option", ["--unlink", "--keep-totals"])
def test_unlinking_is_how_totals_are_kept(
    with_people: Any, admin: httpx.Client, option: str
) -> None:
    overview = with_people.get("/api/stats")["overview"]
    done = erase(with_people, option)
    assert (done["events"], done["unlinked"]) == (3, True)
    after = with_people.get("/api/stats")["overview"]
    assert {**after, "userCount": 0} == {**overview, "userCount": 0}
    listed = with_people.get("/api/events")
    assert len(listed["events"]) == 4
    assert PERSON not in json.dumps(listed)
    whole = [with_people.get(f"/api/events/{each['id']}")["event"] for each in listed["events"]]
    assert not [event for event in whole if event.get("prompt")]
    assert [each["action"] for each in entries(admin)] == [
        "person.unlink-end", "person.unlink-begin",
    ]  # fmt: skip


def test_an_erased_event_that_is_sent_again_is_acknowledged_and_not_stored(home: Any) -> None:
    now = datetime.now(UTC).isoformat()
    said = {"id": "a-call-of-hers-1", "userId": PERSON, "timestamp": now}
    assert home.send(**said).json()["duplicate"] is False
    erase(home)
    again = home.send(**said).json()
    assert (again["success"], again["duplicate"]) == (True, True)
    assert home.send(**{**said, "inputTokens": 7}).json()["duplicate"] is True
    assert home.calls() == 0
    assert home.send(**{**said, "id": "a-call-of-hers-2"}).json()["duplicate"] is False


def test_no_file_of_the_store_names_the_person_afterwards(with_people: Any) -> None:
    erase(with_people)
    folder = with_people.instance.data_dir
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [str(path) for path in files if PERSON.encode() in path.read_bytes()] == []


def test_one_workspace_alone_is_asked_where_it_is_named(
    with_people: Any, admin: httpx.Client
) -> None:
    made = admin.post("/api/workspaces", json={"name": "Harbour"}).json()["workspace"]
    key = with_people.instance.key("--workspace", "harbour")
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1,
             "userId": PERSON}  # fmt: skip
    with with_people.instance.client(key) as app:
        assert app.post("/api/ingest", json=event).status_code == 200
    done = erase(with_people, "--workspace", "harbour")
    assert [each["workspace"] for each in done["workspaces"]] == ["harbour"]
    assert {each["workspaceId"] for each in entries(admin)} == {made["id"]}
    assert erase(with_people, "--dry-run")["events"] == 3


def test_it_works_without_a_running_server_and_says_what_it_did(with_people: Any) -> None:
    assert with_people.instance.stop() == 0
    folder = with_people.instance.data_dir
    said = with_people.instance.command("erase", "--user", PERSON)
    assert "3 events erased for good" in said
    assert "$0.000468" in said
    said = with_people.instance.command("erase", "--user", PERSON)
    assert said == "There are no events of this person.\n"
    wrong = cli("erase", "--user", PERSON, "--workspace", "nowhere", "--data-dir", folder)
    assert (wrong.exit_code, "There is no workspace 'nowhere'" in wrong.stderr) == (1, True)
    assert cli("erase", "--user", "", "--data-dir", folder).exit_code == 2
    assert cli("erase", "--data-dir", folder).exit_code == 2


def test_a_backup_of_an_erased_store_restores_and_verifies(
    with_people: Any, tmp_path: Path
) -> None:
    instance = with_people.instance
    with_people.send(provider="acme", model="roadrunner", userId=PERSON)
    with_people.send(provider="acme", model="roadrunner", userId="ben")
    instance.command("prices", "set", "acme", "*", "--input", "1", "--output", "2")
    instance.command("prices", "apply", "--from", "2020-01-01", "--to", "2100-01-01")
    assert erase(with_people)["events"] == 4
    instance.command("retention", "set", "--keep-events-days", "30")
    made = json.loads(instance.command("backup", str(tmp_path / "copy"), "--json"))
    assert made["events"] == 2
    proved = cli("backup", "verify", tmp_path / "copy")
    assert proved.exit_code == 0, proved.output
    restored = cli("restore", tmp_path / "copy", "--into", tmp_path / "restored")
    assert restored.exit_code == 0, restored.output
    shown = cli("retention", "show", "--data-dir", tmp_path / "restored", "--json")
    assert json.loads(shown.stdout)[0]["keepEventsDays"] == 30
    checked = cli("store", "verify", "--data-dir", tmp_path / "restored")
    assert "Sound: 2 events" in checked.stdout
    parquet = b"".join(path.read_bytes() for path in (tmp_path / "copy").iterdir())
    assert PERSON.encode() not in parquet


def test_an_alert_that_named_the_person_stays_and_names_nobody(
    home: Any, admin: httpx.Client
) -> None:
    [workspace] = admin.get("/api/workspaces").json()["workspaces"]
    rule = {"workspaceId": workspace["id"], "name": "Each user", "type": "user_daily_cost",
            "threshold": "1"}  # fmt: skip
    assert admin.post("/api/alerts", json=rule).status_code == 201
    for user in (PERSON, "ben"):
        home.send(model="gpt-4o", inputTokens=4_000_000, userId=user)
    told: list[dict[str, Any]] = []
    while len(told) < 2:
        told = admin.get("/api/alerts/history").json()["history"]
    assert {each["subject"] for each in told} == {PERSON, "ben"}
    erase(home)
    told = admin.get("/api/alerts/history").json()["history"]
    assert {each["subject"] for each in told} == {None, "ben"}
    assert len(told) == 2
