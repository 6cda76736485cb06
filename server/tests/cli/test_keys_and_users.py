"""Keys and people on the command line, beside a running server and without one."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tokenwatcher_server.cli.main import main

EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 1}


def run(folder: Path, *arguments: str, given: bytes = b"") -> Result:
    return CliRunner().invoke(main, [*arguments, "--data-dir", str(folder)], input=given)


def as_json(folder: Path, *arguments: str) -> Any:
    done = run(folder, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def assert_refused(done: Result, said: str, *, status: int = 1) -> None:
    assert done.exit_code == status, done.output
    assert isinstance(done.exception, SystemExit), done.exception
    assert said in done.stderr
    assert done.stdout == ""


def test_a_key_is_printed_once_alone_on_standard_output(instance: Any) -> None:
    done = run(instance.data_dir, "keys", "create", "--name", "batch job")
    raw = done.stdout.strip()
    assert raw.startswith("tw_live_")
    assert "shown this once" in done.stderr
    with instance.client(raw) as app:
        assert app.post("/api/ingest", json=EVENT).status_code == 200
    listed = run(instance.data_dir, "keys", "list").stdout
    assert raw[:16] in listed
    assert "batch job" in listed
    assert raw not in listed


def test_json_of_a_key_is_what_the_api_says_and_the_raw_key_once(instance: Any) -> None:
    made = as_json(instance.data_dir, "keys", "create", "--kind", "read", "--project", "default")
    assert made["rawKey"].startswith(made["keyPrefix"])
    assert made["kind"] == "read"
    assert made["projectId"]
    assert made["createdAt"].endswith("Z")
    [listed] = [
        key for key in as_json(instance.data_dir, "keys", "list") if key["id"] == made["id"]
    ]
    assert {**listed, "lastUsedAt": None} == {k: v for k, v in made.items() if k != "rawKey"}


def test_a_key_is_revoked_by_its_id_or_prefix_once(instance: Any) -> None:
    for handle in ("id", "keyPrefix"):
        made = as_json(instance.data_dir, "keys", "create")
        assert as_json(instance.data_dir, "keys", "revoke", made[handle])["id"] == made["id"]
        [listed] = [
            key for key in as_json(instance.data_dir, "keys", "list") if key["id"] == made["id"]
        ]
        assert listed["revokedAt"]
    assert_refused(run(instance.data_dir, "keys", "revoke", "tw_live_nothing"), "There is no key")


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["--workspace", "nowhere"], "There is no workspace 'nowhere'", 1),
        (["--project", "nowhere"], "There is no project 'nowhere'; there are: default", 1),
        (["--name", "x" * 101], "must have 1 to 100 characters", 1),
        (["--name", "two\nlines"], "can't have control characters", 1),
        (["--kind", "admin"], "Invalid value for '--kind'", 2),
        (["--colour", "red"], "No such option", 2),
    ],
)
def test_a_key_that_cant_be_is_refused_in_one_line(
    instance: Any, arguments: list[str], said: str, status: int
) -> None:
    assert_refused(run(instance.data_dir, "keys", "create", *arguments), said, status=status)


def test_a_user_made_here_signs_in_with_the_piped_password(instance: Any) -> None:
    done = run(instance.data_dir, "users", "create", "bea", given=b"a good long password\n")
    assert done.stdout == "bea can sign in now.\n"
    assert "bea" in [user["username"] for user in as_json(instance.data_dir, "users", "list")]
    with instance.client() as browser:
        credentials = {"username": "bea", "password": "a good long password"}
        assert browser.post("/api/auth/login", json=credentials).status_code == 200
    again = run(instance.data_dir, "users", "create", "bea", given=b"a good long password\n")
    assert_refused(again, "The username is taken")


@pytest.mark.parametrize(
    ("password", "said"),
    [
        (b"short\n", "must have 8 to 1024 characters"),
        (b"", "must have 8 to 1024 characters"),
        (b"change_me_please\n", "everybody tries first"),
        (b"\xff\xfe not text in utf-8\n", "is not text in UTF-8"),
    ],
)
def test_a_weak_or_unreadable_password_is_refused(
    instance: Any, password: bytes, said: str
) -> None:
    done = run(instance.data_dir, "users", "create", "weak", given=password)
    assert_refused(done, said)
    assert "weak" not in [user["username"] for user in as_json(instance.data_dir, "users", "list")]
    assert_refused(run(instance.data_dir, "users", "set-password", "admin", given=password), said)


def test_a_password_is_never_an_argument(instance: Any) -> None:
    for command in ("create", "set-password"):
        done = run(instance.data_dir, "users", command, "bob", "--password", "a good password")
        assert_refused(done, "No such option", status=2)


@pytest.mark.parametrize("made", [False, True])
def test_where_no_instance_is_nothing_is_made(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "place"
    if made:
        folder.mkdir()
    for arguments in (
        ["keys", "create"],
        ["users", "create", "ana"],
        ["keys", "list"],
        ["store", "verify"],
        ["prices", "unpriced"],
        ["prices", "explain", "an-event"],
    ):
        done = run(folder, *arguments, given=b"a good long password\n")
        assert_refused(done, "There is no instance in")
    assert list(tmp_path.rglob("*")) == ([folder] if made else [])


def test_everything_works_while_no_server_runs(new_instance: Any) -> None:
    running = new_instance()
    running.stop()
    raw = as_json(running.data_dir, "keys", "create")["rawKey"]
    running.start()
    with running.client(raw) as app:
        assert app.post("/api/ingest", json=EVENT).status_code == 200
