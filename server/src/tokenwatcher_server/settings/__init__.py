"""Every setting once: its variable, type, default, a sentence, and whether it is a secret.

`load` reads the environment and raises SettingsError naming the variable that is wrong; a
value never appears in a message.
"""

import os
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tokenwatcher_server.settings.values import (
    boolean,
    encryption,
    environment,
    items,
    log_format,
    names,
    networks,
    origin,
    ports,
    text,
    whole,
    words,
)


class SettingsError(Exception):
    """The start must stop: `variable` is the one to mend, the message says how."""

    def __init__(self, variable: str, message: str) -> None:
        super().__init__(f"{variable}: {message}")
        self.variable = variable


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    environment: str = "production"
    data_dir: Path = Path("data")
    log_format: str | None = None
    host: str = "127.0.0.1"
    port: int = 3000
    database_url: str | None = None
    events_url: str | None = None
    dashboard_auth_enabled: bool = True
    dashboard_username: str = "admin"
    dashboard_password: str | None = None
    dashboard_session_secret: str | None = None
    dashboard_session_cookie_name: str = "tokenwatcher_session"
    csrf_secret: str | None = None
    fallback_key: str | None = None
    ingest_max_batch_size: int = 1000
    ingest_max_body_bytes: int | None = None
    ingest_allowed_origins: tuple[str, ...] = ()
    allow_ingest_cost_override: bool = False
    store_prompts: bool = False
    rollups_enabled: bool = True
    alert_use_rollups: bool = True
    rollup_rebuild_secret: str | None = None
    ingest_rate_limit_enabled: bool = True
    ingest_rate_limit_window_seconds: int = 60
    ingest_rate_limit_max_requests: int = 6_000
    cron_secret: str | None = None
    alert_cooldown_minutes: int = 60
    alert_webhook_timeout_ms: int = 5_000
    slack_webhook_url: str | None = None
    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_user: str | None = None
    smtp_password: str | None = None
    smtp_tls: str | None = None
    alert_email_from: str | None = None
    webhook_allowed_hosts: tuple[str, ...] = ()
    webhook_allowed_cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
    webhook_allowed_ports: tuple[int, ...] = ()
    query_rate_limit_max_requests: int = 600
    query_timeout_ms: int = 10_000
    redis_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    public_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    csp_connect_src: tuple[str, ...] = ()
    csp_report_only: bool = False
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = None
    oidc_group_roles: tuple[str, ...] = ()
    oidc_groups_claim: str = "groups"
    insecure: bool = False
    """Started with `--i-know-this-is-insecure`; no variable sets it."""


class Setting(msgspec.Struct, frozen=True):
    variable: str
    field: str
    parse: Callable[[str], object]
    sentence: str
    secret: bool = False
    may_be_empty: bool = True
    """Whether an empty value counts as not set; one that is refused was meant to be something."""


SETTINGS = (
    Setting("TOKENWATCHER_ENV", "environment", environment,
            "`production` (the default) or `development`."),
    Setting("TOKENWATCHER_DATA_DIR", "data_dir", Path,
            "The folder that holds this instance: its databases and its generated secrets."),
    Setting("TOKENWATCHER_LOG_FORMAT", "log_format", log_format,
            "`json` or `console`; by default `json` in production."),
    Setting("TOKENWATCHER_HOST", "host", text, "The address to listen on."),
    Setting("TOKENWATCHER_PORT", "port", whole(0, 65535),
            "The port to listen on; 0 takes any free one."),
    Setting("DATABASE_URL", "database_url", text,
            "Where control data lives; by default an SQLite file in the data folder. For PostgreSQL "
            "`postgresql://USER:PASSWORD@HOST/DATABASE`.", secret=True),
    Setting("EVENTS_URL", "events_url", text,
            "Where events live; by default the database of DATABASE_URL where that is PostgreSQL, else "
            "the embedded store in the data folder. For ClickHouse "
            "`clickhouse://USER:PASSWORD@HOST:8123/DATABASE`.", secret=True),
    Setting("DASHBOARD_AUTH_ENABLED", "dashboard_auth_enabled", boolean,
            "Whether the dashboard asks for a sign-in."),
    Setting("DASHBOARD_USERNAME", "dashboard_username", text,
            "The name of the first user, made at the first start."),
    Setting("DASHBOARD_PASSWORD", "dashboard_password", text,
            "The first user's password; generated and printed once where it is not set.", secret=True,
            may_be_empty=False),
    Setting("DASHBOARD_SESSION_SECRET", "dashboard_session_secret", text,
            "At least 32 characters that sign sessions; generated where it is not set.", secret=True,
            may_be_empty=False),
    Setting("DASHBOARD_SESSION_COOKIE_NAME", "dashboard_session_cookie_name", text,
            "The name of the session cookie."),
    Setting("CSRF_SECRET", "csrf_secret", text,
            "Signs CSRF tokens; the session secret where it is not set.", secret=True),
    Setting("TOKENWATCHER_API_KEY", "fallback_key", text,
            "A key of an older deployment, of at least 32 characters, that may still send events to "
            "the default workspace; keys that are made here can be revoked.", secret=True),
    Setting("INGEST_MAX_BATCH_SIZE", "ingest_max_batch_size", whole(1, 10_000),
            "The most events in one batch."),
    Setting("INGEST_MAX_BODY_BYTES", "ingest_max_body_bytes", whole(1024, 256 * 1024 * 1024),
            "The largest body after decompression; by default 1 MB for one event, 8 for a batch."),
    Setting("INGEST_RATE_LIMIT_ENABLED", "ingest_rate_limit_enabled", boolean,
            "Whether requests that send events are limited; a batch is one request."),
    Setting("INGEST_RATE_LIMIT_WINDOW_SECONDS", "ingest_rate_limit_window_seconds",
            whole(1, 86_400), "The length of the window that requests are counted in."),
    Setting("INGEST_RATE_LIMIT_MAX_REQUESTS", "ingest_rate_limit_max_requests",
            whole(1, 100_000_000),
            "The most requests of one key in a window; an address without a valid key may make 120."),
    Setting("CRON_SECRET", "cron_secret", text,
            "Lets a scheduler call POST /api/alerts/evaluate with it as bearer.", secret=True),
    Setting("ALERT_COOLDOWN_MINUTES", "alert_cooldown_minutes", whole(0, 10_080),
            "How long an alert that was resolved stays silent before it tells again."),
    Setting("ALERT_WEBHOOK_TIMEOUT_MS", "alert_webhook_timeout_ms", whole(100, 60_000),
            "How long sending one alert may take in all."),
    Setting("SLACK_WEBHOOK_URL", "slack_webhook_url", text,
            "A Slack channel that the default workspace's alerts are told to, by its incoming "
            "webhook; more are added on the Alerts page.", secret=True),
    Setting("SMTP_HOST", "smtp_host", text,
            "The mail server that alerts are e-mailed through; one inside your network is allowed "
            "by WEBHOOK_ALLOWED_HOSTS like any other."),
    Setting("SMTP_PORT", "smtp_port", whole(1, 65_535), "The mail server's port."),
    Setting("SMTP_USER", "smtp_user", text, "Who signs in to the mail server, if it asks."),
    Setting("SMTP_PASS", "smtp_password", text, "The mail server's password.", secret=True),
    Setting("SMTP_TLS", "smtp_tls", encryption,
            "`starttls`, `tls` or `none`; by default `tls` on port 465 and `starttls` on others. "
            "Where the mail server then offers none, nothing is sent."),
    Setting("ALERT_EMAIL_FROM", "alert_email_from", text,
            "The address that alerts are e-mailed from."),
    Setting("WEBHOOK_ALLOWED_HOSTS", "webhook_allowed_hosts", names,
            "Servers of your own that alerts may be sent to, by name; *.example.com for all below."),
    Setting("WEBHOOK_ALLOWED_CIDRS", "webhook_allowed_cidrs", networks,
            "Networks of your own that alerts may be sent to, such as 10.1.0.0/16."),
    Setting("WEBHOOK_ALLOWED_PORTS", "webhook_allowed_ports", ports,
            "Ports that alerts may be sent to, beside 443 and 80."),
    Setting("QUERY_RATE_LIMIT_MAX_REQUESTS", "query_rate_limit_max_requests",
            whole(1, 100_000_000),
            "The most questions a minute of one person or read key: /api/stats, query and events."),
    Setting("QUERY_TIMEOUT_MS", "query_timeout_ms", whole(1, 600_000),
            "How long a question may take before it is ended and answered 503."),
    Setting("REDIS_URL", "redis_url", text,
            "A Redis that several servers count rate limits in and tell each other of revoked keys, such "
            "as redis://redis:6379/0; while it is away, each counts for itself.", secret=True),
    Setting("INGEST_ALLOWED_ORIGINS", "ingest_allowed_origins", items,
            "Browser origins that may send events, separated by commas."),
    Setting("ALLOW_INGEST_COST_OVERRIDE", "allow_ingest_cost_override", boolean,
            "Whether a client's own `totalCostUsd` is taken instead of our price."),
    Setting("STORE_PROMPTS", "store_prompts", boolean,
            "Whether prompts and completions that a client sends are stored."),
    Setting("ROLLUPS_ENABLED", "rollups_enabled", boolean, "Without effect: hourly sums are kept."),
    Setting("ALERT_USE_ROLLUPS", "alert_use_rollups", boolean, "Without effect, as above."),
    Setting("ROLLUP_REBUILD_SECRET", "rollup_rebuild_secret", text,
            "The bearer secret for `POST /api/admin/rebuild-rollups`.", secret=True),
    Setting("TRUSTED_PROXIES", "trusted_proxies", items,
            "Addresses or networks whose forwarded headers are believed, separated by commas."),
    Setting("PUBLIC_URL", "public_url", origin,
            "The address that people open the dashboard at, such as https://tokens.example.com."),
    Setting("ALLOWED_HOSTS", "allowed_hosts", items,
            "Further names this server answers to (`*.example.com`: all below), separated by commas; "
            "addresses, localhost and the name in PUBLIC_URL need none."),
    Setting("CSP_CONNECT_SRC", "csp_connect_src", words,
            "Further servers that scripts of a page may connect to, such as https://api.example.com."),
    Setting("CSP_REPORT_ONLY", "csp_report_only", boolean,
            "Whether what breaks the content security policy is only reported, and not blocked."),
    Setting("OIDC_ISSUER", "oidc_issuer", text,
            "The OpenID Connect provider that people may sign in with, such as `https://id.example.com`."),
    Setting("OIDC_CLIENT_ID", "oidc_client_id", text, "What the provider calls this server."),
    Setting("OIDC_CLIENT_SECRET", "oidc_client_secret", text,
            "The secret the provider gave this server; not set for a public client.", secret=True),
    Setting("OIDC_GROUP_ROLES", "oidc_group_roles", items,
            "What the provider's groups give, separated by commas: `GROUP=ROLE`, "
            "`GROUP=WORKSPACE:ROLE` or `GROUP=instance`; `*` is everybody."),
    Setting("OIDC_GROUPS_CLAIM", "oidc_groups_claim", text,
            "The claim of the ID token that names somebody's groups."),
)  # fmt: skip


def load(environ: Mapping[str, str] = os.environ, **overrides: object) -> Settings:
    """Read the settings; `overrides` (from the command line) win over the environment.

    A secret may be given as `NAME_FILE`, the path of a file that holds it.
    """
    values: dict[str, object] = {}
    for setting in SETTINGS:
        text = _value_of(setting, environ)
        if (
            text is None
            and setting.variable in environ
            and not (setting.may_be_empty or overrides.get("insecure"))
        ):
            raise SettingsError(setting.variable, "is empty; give it a value, or unset it")
        if text is None:
            continue
        try:
            values[setting.field] = setting.parse(text)
        except ValueError as error:
            raise SettingsError(setting.variable, str(error)) from None
    values.update({name: value for name, value in overrides.items() if value is not None})
    database_url = str(values.get("database_url", ""))
    if database_url.startswith("postgresql:"):
        values.setdefault("events_url", database_url)
    return Settings(**values)  # type: ignore[arg-type]  # each parser gives its field's type


def own_names(settings: Settings) -> tuple[str, ...]:
    """The names that the operator gave this server, in lower case; `*.example.com` may be one."""
    names = [*settings.allowed_hosts, settings.host]
    if settings.public_url is not None:
        names.append(urlsplit(settings.public_url).hostname or "")
    return tuple(name.lower() for name in names)


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The values that must never be shown or logged."""
    values = (getattr(settings, setting.field) for setting in SETTINGS if setting.secret)
    return tuple(value for value in values if value)


def _value_of(setting: Setting, environ: Mapping[str, str]) -> str | None:
    text = environ.get(setting.variable)
    path = environ.get(f"{setting.variable}_FILE") if setting.secret else None
    if text and path:
        raise SettingsError(setting.variable, f"set it or {setting.variable}_FILE, not both")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{setting.variable}_FILE", "the file can't be read") from None
    return text or None
