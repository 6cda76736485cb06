"""A start that would let strangers in is refused by name; forced, every page says so."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

SERVE = [sys.executable, "-m", "tokenwatcher_server", "serve", "--port", "0"]
FORCED = "--i-know-this-is-insecure"
BANNER = "This server runs insecurely."


@pytest.mark.parametrize(
    ("environment", "options", "named"),
    [
        ({"DASHBOARD_AUTH_ENABLED": "false"}, ["--host", "0.0.0.0"], "DASHBOARD_AUTH_ENABLED"),
        ({"DASHBOARD_PASSWORD": "admin"}, [], "DASHBOARD_PASSWORD"),
        ({"DASHBOARD_PASSWORD": "change_me_in_production"}, [], "DASHBOARD_PASSWORD"),
        ({"DASHBOARD_PASSWORD": ""}, [], "DASHBOARD_PASSWORD"),
        ({"DASHBOARD_SESSION_SECRET": "too-short-to-sign"}, [], "DASHBOARD_SESSION_SECRET"),
        ({"DASHBOARD_SESSION_SECRET": ""}, [], "DASHBOARD_SESSION_SECRET"),
        ({"ALERT_EMAIL_FROM": "nobody", "SMTP_HOST": "mail.example.com"}, [], "ALERT_EMAIL_FROM"),
        (
            {
                "SMTP_TLS": "none",
                "SMTP_USER": "tw",
                "SMTP_HOST": "mail.example.com",
                "ALERT_EMAIL_FROM": "tw@example.com",
            },
            [],
            "SMTP_TLS",
        ),
    ],
)
def test_a_dangerous_start_is_refused_naming_the_variable_and_leaves_nothing(
    tmp_path: Path, environment: dict[str, str], options: list[str], named: str
) -> None:
    folder = tmp_path / "data"
    done = subprocess.run(
        [*SERVE, "--data-dir", str(folder), *options],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not folder.exists()
    assert (
        not environment[named]
        or environment[named] == "false"
        or (environment[named] not in done.stderr)
    )


def test_a_forced_start_says_so_on_every_page(new_instance: Callable[..., Any]) -> None:
    running = new_instance("weak", options=(FORCED,), DASHBOARD_PASSWORD="admin")
    with running.client() as browser:
        browser.headers["Accept"] = "text/html"
        assert BANNER in browser.get("/login").text
        assert BANNER in browser.get("/nowhere").text
        credentials = {"username": "admin", "password": "admin"}
        assert browser.post("/api/auth/login", json=credentials).status_code == 200
        for page in ("/", "/keys", "/settings", "/account"):
            assert BANNER in browser.get(page).text, page


def test_a_sound_start_says_nothing_of_the_kind(door: Any, visitor: Any) -> None:
    browser: httpx.Client = visitor()
    assert BANNER not in browser.get("/login").text
    assert FORCED not in door.log
