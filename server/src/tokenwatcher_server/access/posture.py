"""Settings that would make an instance dangerous stop its start."""

from ipaddress import ip_address

from tokenwatcher_server.access.passwords import check_strength
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.settings import Settings, SettingsError

SHORTEST_SECRET = 32
SAMPLES = ("change", "secret", "example", "your-", "your_", "xxxx", "test", "password")


def refuse_to_start(settings: Settings) -> None:
    """Raise SettingsError naming the variable to mend; a value never appears in it."""
    if not settings.dashboard_auth_enabled and not _is_loopback(settings.host):
        raise SettingsError(
            "DASHBOARD_AUTH_ENABLED",
            "the dashboard can't be open to everybody while TOKENWATCHER_HOST listens beyond "
            "this machine; turn sign-in on, or listen on 127.0.0.1",
        )
    if settings.dashboard_password is not None:
        try:
            check_strength(settings.dashboard_password)
        except AppError as error:
            raise SettingsError("DASHBOARD_PASSWORD", error.message) from None
    _check_secret("DASHBOARD_SESSION_SECRET", settings.dashboard_session_secret)
    _check_secret("CSRF_SECRET", settings.csrf_secret)
    _check_secret("ROLLUP_REBUILD_SECRET", settings.rollup_rebuild_secret)


def _check_secret(variable: str, secret: str | None) -> None:
    if secret is None:
        return
    if secret.lower().startswith(SAMPLES) or len(set(secret)) < 8:
        raise SettingsError(variable, "is a sample or too simple; use 32 or more random characters")
    if len(secret) < SHORTEST_SECRET:
        raise SettingsError(variable, f"must have at least {SHORTEST_SECRET} characters")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
