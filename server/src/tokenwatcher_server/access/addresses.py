"""Settings that name servers: each is well-formed, and none allows more than it seems to."""

import re

from tokenwatcher_server.settings import Settings, SettingsError

_ORIGIN = re.compile(r"https?://[^/?#\s@*]+\Z", re.ASCII)
_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z|\[[0-9A-Fa-f:.]+\]\Z", re.ASCII)
_CONNECTION = re.compile(
    r"(?:https?|wss?)://[A-Za-z0-9._\[\]:-]+(?:/[A-Za-z0-9._/-]*)?\Z", re.ASCII
)
_REDIS = re.compile(r"rediss?://[^\s/]+(?:/[0-9]{0,5})?\Z", re.ASCII)


def check_addresses(settings: Settings) -> None:
    """Raise SettingsError naming the variable to mend."""
    _check_names(settings)
    for source in settings.csp_connect_src:
        if not _CONNECTION.match(source):
            raise SettingsError(
                "CSP_CONNECT_SRC",
                f"{source[:100]!r} can't be allowed; name whole servers like "
                "https://api.example.com, no *",
            )
    if settings.redis_url is not None and not _REDIS.match(settings.redis_url):
        raise SettingsError("REDIS_URL", "write it like redis://HOST:6379/0, or rediss:// for TLS")


def _check_names(settings: Settings) -> None:
    url = settings.public_url
    if url is not None and not _ORIGIN.match(url):
        raise SettingsError(
            "PUBLIC_URL",
            f"{url[:100]!r} is none; write it like https://tokens.example.com, no path",
        )
    for name in settings.allowed_hosts:
        if not _NAME.match(name):
            raise SettingsError(
                "ALLOWED_HOSTS",
                f"{name[:100]!r} is no name; write it like tokens.example.com or *.example.com, "
                "without a port",
            )
