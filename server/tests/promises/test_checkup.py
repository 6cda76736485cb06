"""The check-up looks at every point of an instance's posture, and says what mends it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tokenwatcher_server.access.checkup import Facts, FilePermissions, Point
from tokenwatcher_server.access.checkup_data import data_points
from tokenwatcher_server.access.checkup_door import door_points
from tokenwatcher_server.access.checkup_facts import check_up
from tokenwatcher_server.access.keys import KeyRecord
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.ids import KeyId, ProjectId, WorkspaceId
from tokenwatcher_server.settings import Settings

NOW_US = 1_800_000_000_000_000
STRONG = "q8Zr2Lw0Vn5Xc7Kd9Fh1Jm3Pt6Sb4GyE"
POINTS = ("Sign-in", "Secrets", "Passwords", "HTTPS", "Names", "Allowed origins",
          "Content security policy", "Rate limits", "API keys in use", "Key in the environment",
          "Age of keys", "Scope of keys", "Prompt storage", "Cost override", "Control database",
          "Way to the database", "Backup", "File permissions", "Versions")  # fmt: skip
SOUND = Facts(settings=Settings(), now_us=NOW_US, database_answers=True, backed_up_at=NOW_US)


def points(facts: Facts) -> dict[str, Point]:
    return {point.title: point for point in (*door_points(facts), *data_points(facts))}


def key(**changes: Any) -> KeyRecord:
    made = KeyRecord(
        id=KeyId("k"), name="app", kind="live", key_prefix="tw_live_abcdefgh",
        workspace_id=WorkspaceId("w"), project_id=ProjectId("p"), created_at=NOW_US - DAY_US,
        last_used_at=None, revoked_at=None,
    )  # fmt: skip
    return replace(made, **changes)


def test_a_sound_instance_is_good_in_every_point() -> None:
    found = points(SOUND)
    assert tuple(found) == POINTS
    assert {point.verdict for point in found.values()} == {"good"}


@pytest.mark.parametrize(
    ("title", "verdict", "settings"),
    [
        ("Sign-in", "wrong", {"dashboard_auth_enabled": False, "host": "0.0.0.0"}),
        ("Sign-in", "warning", {"dashboard_auth_enabled": False}),
        ("Secrets", "wrong", {"dashboard_session_secret": "change_me"}),
        ("Secrets", "wrong", {"database_url": "postgresql://db/x"}),
        ("Secrets", "wrong", {"csrf_secret": "a" * 64}),
        ("Passwords", "wrong", {"dashboard_password": "admin"}),
        ("HTTPS", "warning", {"host": "0.0.0.0"}),
        ("HTTPS", "warning", {"public_url": "http://tokens.example.com"}),
        ("HTTPS", "warning", {"public_url": "https://tokens.example.com"}),
        ("Names", "warning", {"allowed_hosts": ("*.example.com",)}),
        ("Allowed origins", "wrong", {"ingest_allowed_origins": ("*",)}),
        ("Allowed origins", "warning", {"ingest_allowed_origins": ("http://app.example",)}),
        ("Content security policy", "warning", {"csp_report_only": True}),
        ("Rate limits", "warning", {"ingest_rate_limit_enabled": False}),
        ("Rate limits", "warning", {"database_url": "postgresql://db/x"}),
        ("Key in the environment", "warning", {"fallback_key": STRONG}),
        ("Prompt storage", "warning", {"store_prompts": True}),
        ("Cost override", "warning", {"allow_ingest_cost_override": True}),
        ("Way to the database", "warning", {"database_url": "postgresql://db.example/x"}),
    ],
)
def test_a_setting_that_is_less_than_safe_is_told_with_what_mends_it(
    title: str, verdict: str, settings: dict[str, Any]
) -> None:
    point = points(replace(SOUND, settings=Settings(**settings)))[title]
    assert point.verdict == verdict
    assert point.why
    assert point.mend


@pytest.mark.parametrize(
    "settings",
    [
        {"public_url": "https://tokens.example.com", "trusted_proxies": ("10.0.0.1",)},
        {"database_url": "postgresql://db/x?sslmode=verify-full", "redis_url": "redis://r:6379",
         "dashboard_session_secret": STRONG},
        {"database_url": "postgresql:///x?host=/run", "redis_url": "redis://r:6379",
         "dashboard_session_secret": STRONG},
        {"ingest_allowed_origins": ("https://app.example", "http://localhost:5173")},
        {"csp_connect_src": ("https://api.example.com",)},
        {"fallback_key": "too-short-to-be-taken"},
        {"fallback_key": STRONG, "environment": "development"},
    ],
)  # fmt: skip
def test_a_setting_that_is_safe_is_good(settings: dict[str, Any]) -> None:
    found = points(replace(SOUND, settings=Settings(**settings)))
    assert {point.verdict for point in found.values()} == {"good"}, found


@pytest.mark.parametrize(
    ("title", "verdict", "facts"),
    [
        ("Passwords", "wrong", {"password_hashes": ("$2b$12$abc",)}),
        ("API keys in use", "warning", {"keys": (key(created_at=NOW_US - 91 * DAY_US),)}),
        ("Age of keys", "warning", {"keys": (key(created_at=NOW_US - 366 * DAY_US),)}),
        ("Age of keys", "warning", {"keys": (key(expires_at=NOW_US + DAY_US),)}),
        ("Scope of keys", "warning", {"keys": (key(project_id=None),)}),
        ("Control database", "wrong", {"database_answers": False}),
        ("Backup", "warning", {"backed_up_at": None}),
        ("Backup", "warning", {"backed_up_at": NOW_US - 8 * DAY_US}),
        ("File permissions", "wrong", {"files": (FilePermissions("session.secret", 0o640),)}),
        ("File permissions", "wrong", {"files": (FilePermissions("control.db", 0o620),)}),
        ("File permissions", "warning", {"files": (FilePermissions("control.db", 0o604),)}),
        ("File permissions", "warning", {"runs_as_root": True}),
    ],
)
def test_what_is_less_than_safe_in_an_instance_is_told_with_what_mends_it(
    title: str, verdict: str, facts: dict[str, Any]
) -> None:
    point = points(replace(SOUND, **facts))[title]
    assert point.verdict == verdict
    assert point.mend


@pytest.mark.parametrize(
    "ended", [{"revoked_at": NOW_US - 1}, {"expires_at": NOW_US}, {"kind": "read"}]
)
def test_a_key_that_ended_or_only_reads_is_no_point_against_a_workspace_key(
    ended: dict[str, Any],
) -> None:
    facts = replace(SOUND, keys=(key(project_id=None, **ended),))
    assert points(facts)["Scope of keys"].verdict == "good"


def test_files_that_others_can_read_are_found(tmp_path: Path) -> None:
    (tmp_path / "session.secret").write_text("secret")
    (tmp_path / "session.secret").chmod(0o644)
    tmp_path.chmod(0o755)
    settings = Settings(data_dir=tmp_path)
    found = asyncio.run(check_up(settings, None, NOW_US))
    [point] = [point for point in found.points if point.title == "File permissions"]
    assert point.verdict == "wrong"
    assert "session.secret" in point.found
    tmp_path.chmod(0o700)
    found = asyncio.run(check_up(settings, None, NOW_US))
    assert found.wrong == 0


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tokenwatcher_server", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_doctor_ends_with_one_where_something_is_wrong_and_shows_no_secret(tmp_path: Path) -> None:
    secret = "change_me_MARKED5f1c9d"
    done = doctor("--data-dir", str(tmp_path / "data"), DASHBOARD_SESSION_SECRET=secret,
                  DASHBOARD_PASSWORD="admin")  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "WRONG Secrets" in done.stdout
    assert "WRONG Passwords" in done.stdout
    assert secret not in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()


def test_doctor_asks_the_running_server_and_says_what_its_page_says(
    door: Any, signed_in: Callable[[], httpx.Client]
) -> None:
    done = doctor("--data-dir", str(door.data_dir), "--json")
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert tuple(point["title"] for point in told["points"]) == POINTS
    https = next(point for point in told["points"] if point["title"] == "HTTPS")
    assert https["verdict"] == "warning"  # the server trusts a proxy; this shell names none
    page = signed_in().get("/settings/security")
    assert page.status_code == 200
    for point in told["points"]:
        assert point["title"] in page.text


def test_the_check_up_is_for_who_owns_the_instance(person: Callable[..., httpx.Client]) -> None:
    for role in ("viewer", "admin"):
        assert person(role).get("/settings/security").status_code == 403
