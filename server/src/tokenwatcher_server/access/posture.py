"""Settings that would make an instance dangerous, or useless, stop its start."""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from tokenwatcher_server.access.addresses import check_addresses
from tokenwatcher_server.access.mail_settings import mail_server_of
from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.access.oidc import parse_group_roles
from tokenwatcher_server.access.passwords import check_strength
from tokenwatcher_server.access.secrets import SHORTEST_SECRET
from tokenwatcher_server.access.users import LONGEST_USERNAME
from tokenwatcher_server.kernel.clickhouse_url import SCHEME, parse_url
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.settings import Settings, SettingsError

SAMPLES = (
    *("change", "replace", "secret", "example", "default", "your-", "your_", "insert"),
    *("xxxx", "test", "password", "development", "<"),
)
"""How the samples of secrets in documentation and `.env` files begin."""
_COOKIE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_OTHER_COOKIES = frozenset({"tokenwatcher_csrf", "tokenwatcher_theme"})
_ORIGIN = re.compile(r"https?://[^/?#\s@*]+\Z", re.ASCII)


def refuse_to_start(settings: Settings) -> None:
    """Raise SettingsError naming the variable to mend; a secret never appears in it.

    What is only dangerous is let pass where the operator said that they know.
    """
    found = list(dangers(settings))
    if found and not settings.insecure:
        raise found[0]
    _check_first_user(settings.dashboard_username)
    _check_cookie_name(settings.dashboard_session_cookie_name)
    _check_origins(settings.ingest_allowed_origins)
    _check_proxies(settings.trusted_proxies)
    check_addresses(settings)
    _check_events_url(settings.events_url)
    _check_oidc(settings)
    mail_server_of(settings)


def dangers(settings: Settings) -> Iterator[SettingsError]:
    """What would let strangers in."""
    if not settings.dashboard_auth_enabled and not is_loopback(settings.host):
        yield SettingsError(
            "DASHBOARD_AUTH_ENABLED",
            "the dashboard can't be open to everybody while TOKENWATCHER_HOST listens beyond "
            "this machine; turn sign-in on, or listen on 127.0.0.1",
        )
    if settings.dashboard_password is not None:
        try:
            check_strength(settings.dashboard_password)
        except AppError as error:
            yield SettingsError("DASHBOARD_PASSWORD", error.message)
    if settings.dashboard_session_secret is None and not _is_embedded(settings.database_url):
        yield SettingsError(
            "DASHBOARD_SESSION_SECRET",
            "is needed where control data is in a database that servers share; use 32 or more "
            "random characters, the same for each",
        )
    yield from _weak("DASHBOARD_SESSION_SECRET", settings.dashboard_session_secret)
    yield from _weak("CSRF_SECRET", settings.csrf_secret)
    yield from _weak("ROLLUP_REBUILD_SECRET", settings.rollup_rebuild_secret)
    yield from _weak("CRON_SECRET", settings.cron_secret)


def _check_events_url(url: str | None) -> None:
    """What is said to be ClickHouse's has to be; the store refuses what it doesn't know at all."""
    if url is None or not url.startswith(f"{SCHEME}:"):
        return
    try:
        parse_url(url)
    except ValueError as error:
        raise SettingsError("EVENTS_URL", str(error)) from None


def _is_embedded(database_url: str | None) -> bool:
    return database_url is None or database_url.startswith("sqlite")


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _check_first_user(username: str) -> None:
    try:
        checked_name(username, "username", longest=LONGEST_USERNAME)
    except AppError as error:
        raise SettingsError("DASHBOARD_USERNAME", error.message) from None


def _weak(variable: str, secret: str | None) -> Iterator[SettingsError]:
    if secret is None:
        return
    if secret.lower().startswith(SAMPLES) or len(set(secret)) < 8:
        yield SettingsError(variable, "is a sample or too simple; use 32 or more random characters")
    elif len(secret) < SHORTEST_SECRET:
        yield SettingsError(variable, f"must have at least {SHORTEST_SECRET} characters")


def _check_cookie_name(name: str) -> None:
    if not _COOKIE_NAME.match(name) or name in _OTHER_COOKIES:
        raise SettingsError(
            "DASHBOARD_SESSION_COOKIE_NAME",
            "use letters, digits, _ and -, and a name that no other cookie of ours has",
        )


def _check_origins(origins: tuple[str, ...]) -> None:
    for origin in origins:
        if origin != "*" and not _ORIGIN.match(origin):
            raise SettingsError(
                "INGEST_ALLOWED_ORIGINS",
                f"{origin[:100]!r} is no origin; write it like https://app.example.com, no path",
            )


def _check_oidc(settings: Settings) -> None:
    if settings.oidc_issuer is None:
        return
    issuer = urlsplit(settings.oidc_issuer)
    private = is_loopback(issuer.hostname or "") or settings.environment == "development"
    if not issuer.hostname or issuer.scheme not in ({"https", "http"} if private else {"https"}):
        raise SettingsError(
            "OIDC_ISSUER", "write it like https://id.example.com; http is for tests"
        )
    if not settings.oidc_client_id:
        raise SettingsError("OIDC_CLIENT_ID", "is needed where OIDC_ISSUER is set")
    try:
        parse_group_roles(settings.oidc_group_roles)
    except ValueError as error:
        raise SettingsError("OIDC_GROUP_ROLES", str(error)) from None


def _check_proxies(proxies: tuple[str, ...]) -> None:
    for proxy in proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            raise SettingsError(
                "TRUSTED_PROXIES",
                f"{proxy[:100]!r} is no address or network; write it like 10.0.0.5 or 10.0.0.0/8",
            ) from None
