"""The address of a ClickHouse server, as EVENTS_URL says it."""

from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

SCHEME = "clickhouse"
SHAPE = "clickhouse://USER:PASSWORD@HOST:8123/DATABASE"
PORT, SECURE_PORT = 8123, 8443
_OPTIONS = {"secure", "cluster"}


class Address(msgspec.Struct, frozen=True):
    """Where the server is, and who asks. `cluster` is set where the tables are spread over one."""

    host: str
    port: int
    user: str
    password: str
    database: str
    secure: bool
    cluster: str | None

    def __repr__(self) -> str:
        return f"{SCHEME}://{self.user}@{self.host}:{self.port}/{self.database}"


def parse_url(url: str) -> Address:
    """Read the URL. Raises ValueError for what is none; the message never holds the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("its host or its port is none") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme != SCHEME or not parts.hostname:
        raise _refused("it names no host")
    if unknown := options.keys() - _OPTIONS:
        raise _refused(f"it knows no option {min(unknown)!r}, only secure and cluster")
    if options.get("secure", "false") not in {"true", "false"}:
        raise _refused("its option secure is true or false")
    database = unquote(parts.path.strip("/"))
    if not database or "/" in database:
        raise _refused("it names no database")
    secure = options.get("secure") == "true"
    return Address(
        host=parts.hostname,
        port=port or (SECURE_PORT if secure else PORT),
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=database,
        secure=secure,
        cluster=options.get("cluster") or None,
    )


def _refused(reason: str) -> ValueError:
    return ValueError(f"{reason}; write {SHAPE}")
