"""What would make an instance dangerous stops its start; its own secret is whole or refused."""

import stat
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokenwatcher_server.access.posture import refuse_to_start
from tokenwatcher_server.access.secrets import session_secret
from tokenwatcher_server.kernel.errors import InstanceRefused
from tokenwatcher_server.settings import Settings, SettingsError, load

STRONG = "q8Zr2Lw0Vn5Xc7Kd9Fh1Jm3Pt6Sb4GyE"


@pytest.mark.parametrize(
    ("field", "value", "variable"),
    [
        ("dashboard_username", "   ", "DASHBOARD_USERNAME"),
        ("dashboard_username", "a\0b", "DASHBOARD_USERNAME"),
        ("dashboard_password", "admin", "DASHBOARD_PASSWORD"),
        ("dashboard_password", "change_me_in_production", "DASHBOARD_PASSWORD"),
        ("dashboard_session_secret", STRONG[:31], "DASHBOARD_SESSION_SECRET"),
        ("dashboard_session_secret", "change_me_" + STRONG, "DASHBOARD_SESSION_SECRET"),
        ("csrf_secret", "a" * 64, "CSRF_SECRET"),
        ("rollup_rebuild_secret", "secret", "ROLLUP_REBUILD_SECRET"),
        ("dashboard_session_cookie_name", "a b", "DASHBOARD_SESSION_COOKIE_NAME"),
        ("dashboard_session_cookie_name", "tokenwatcher_csrf", "DASHBOARD_SESSION_COOKIE_NAME"),
        ("ingest_allowed_origins", ("https://app.example/",), "INGEST_ALLOWED_ORIGINS"),
        ("ingest_allowed_origins", ("https://*.example",), "INGEST_ALLOWED_ORIGINS"),
        ("trusted_proxies", ("10.0.0.1", "nginx"), "TRUSTED_PROXIES"),
        ("public_url", "https://tokens.example.com/path", "PUBLIC_URL"),
        ("allowed_hosts", ("*",), "ALLOWED_HOSTS"),
        ("allowed_hosts", ("https://a.example",), "ALLOWED_HOSTS"),
        ("csp_connect_src", ("*",), "CSP_CONNECT_SRC"),
        ("csp_connect_src", ("https://*.example.com",), "CSP_CONNECT_SRC"),
        ("csp_connect_src", ("https://a.example;script-src",), "CSP_CONNECT_SRC"),
        ("redis_url", "localhost:6379", "REDIS_URL"),
        ("oidc_issuer", "http://id.example.com", "OIDC_ISSUER"),
        ("oidc_issuer", "id.example.com", "OIDC_ISSUER"),
        ("oidc_issuer", "https://id.example.com", "OIDC_CLIENT_ID"),
    ],
)
def test_a_setting_that_would_be_dangerous_or_useless_is_named(
    field: str, value: Any, variable: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        refuse_to_start(msgspec.structs.replace(Settings(), **{field: value}))
    assert refused.value.variable == variable
    if "SECRET" in variable or "PASSWORD" in variable:
        assert value not in str(refused.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_without_sign_in_only_this_machine_is_served(host: str) -> None:
    with pytest.raises(SettingsError):
        refuse_to_start(Settings(dashboard_auth_enabled=False, host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_sound_settings_start(host: str) -> None:
    refuse_to_start(Settings(dashboard_auth_enabled=False, host=host))
    refuse_to_start(
        Settings(
            host="0.0.0.0",
            dashboard_password="correct horse battery staple",
            dashboard_session_secret=STRONG,
            csrf_secret=STRONG[::-1],
            ingest_allowed_origins=("*", "https://app.example", "http://localhost:5173"),
            trusted_proxies=("10.0.0.1", "10.1.0.0/16", "fd00::/8"),
        )
    )


def test_a_generated_secret_is_long_kept_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = session_secret(None, tmp_path)
    [file] = tmp_path.iterdir()
    assert len(made) >= 32
    assert session_secret(None, tmp_path) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert session_secret(STRONG, tmp_path) == STRONG.encode()


@pytest.mark.parametrize("content", [b"", b"short", b" " * 64])
def test_a_secret_too_short_to_sign_with_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "session.secret").write_bytes(content)
    with pytest.raises(InstanceRefused, match=r"session\.secret"):
        session_secret(None, tmp_path)
    assert (tmp_path / "session.secret").read_bytes() == content


def test_starts_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    starts = [
        threading.Thread(target=lambda: found.append(session_secret(None, tmp_path)))
        for _ in range(8)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["session.secret"]


DANGEROUS = (
    {"dashboard_auth_enabled": False, "host": "0.0.0.0"},
    {"dashboard_password": "admin"},
    {"dashboard_session_secret": "short"},
    {"dashboard_session_secret": None, "database_url": "postgresql+asyncpg://db.example/watch"},
)


@pytest.mark.parametrize("given", DANGEROUS)
def test_what_is_dangerous_starts_only_where_the_operator_says_that_they_know(
    given: dict[str, Any],
) -> None:
    with pytest.raises(SettingsError):
        refuse_to_start(Settings(**given))
    refuse_to_start(Settings(**given, insecure=True))


@pytest.mark.parametrize("entry", ["engineers", "engineers=king", "=member", "a=b:c:king", "a="])
def test_a_group_without_a_role_is_refused_by_name(entry: str) -> None:
    given = {"oidc_issuer": "https://id.example.com", "oidc_client_id": "watcher"}
    with pytest.raises(SettingsError) as refused:
        refuse_to_start(Settings(**given, oidc_group_roles=("*=viewer", entry)))  # type: ignore[arg-type]
    assert refused.value.variable == "OIDC_GROUP_ROLES"


def test_what_is_useless_is_refused_all_the_same() -> None:
    with pytest.raises(SettingsError):
        refuse_to_start(Settings(dashboard_session_cookie_name="a b", insecure=True))


@pytest.mark.parametrize("variable", ["DASHBOARD_PASSWORD", "DASHBOARD_SESSION_SECRET"])
def test_a_password_or_secret_that_is_set_to_nothing_is_refused_by_name(variable: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({variable: ""})
    assert refused.value.variable == variable
    assert load({variable: ""}, insecure=True).dashboard_password is None
