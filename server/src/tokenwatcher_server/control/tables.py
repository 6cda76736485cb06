"""Every control table on one page. Instants are microseconds since 1970, UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", String(36), primary_key=True)


def _instant(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    Column("name", String(100), nullable=False),
    Column("slug", String(100), nullable=False, unique=True),
    _instant("created_at"),
    Column("keep_events_days", Integer, nullable=True),  # null: for ever
    Column("keep_prompts_days", Integer, nullable=True, server_default="30"),  # null: as events
    Column("timezone", String(100), nullable=False, server_default="UTC"),
)

projects = Table(
    "projects",
    metadata,
    _id(),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("slug", String(100), nullable=False),
    Column("environment", String(20), nullable=False),  # production, staging, development, test
    _instant("created_at"),
    UniqueConstraint("workspace_id", "slug"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("project_id", ForeignKey("projects.id"), nullable=True),  # null: the whole workspace
    Column("name", String(100), nullable=False),
    Column("kind", String(10), nullable=False),  # live, test, dev, read
    Column("prefix", String(16), nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the raw key
    _instant("created_at"),
    _instant("revoked_at", nullable=True),
    _instant("last_used_at", nullable=True),
    _instant("expires_at", nullable=True),
    Column("replaced_by", String(36), nullable=True),  # the key that rotation made for it
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("username", String(200), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),  # argon2id; empty: has no password
    _instant("created_at"),
    _instant("password_changed_at"),
    Column("owns_instance", Boolean, nullable=False, server_default=false()),
)

memberships = Table(
    "memberships",
    metadata,
    Column("workspace_id", ForeignKey("workspaces.id"), primary_key=True),
    Column("user_id", ForeignKey("users.id"), primary_key=True),
    Column("role", String(10), nullable=False),  # owner, admin, member, viewer
    _instant("created_at"),
    Index("ix_memberships_user_id", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    _id(),
    Column("hash", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the link's token
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("role", String(10), nullable=False),
    Column("note", String(100), nullable=False),  # for whom it is
    Column("invited_by", ForeignKey("users.id"), nullable=True),  # null: the command line
    _instant("created_at"),
    _instant("expires_at"),
    _instant("used_at", nullable=True),
    Index("ix_invitations_workspace_id", "workspace_id"),
)

oidc_identities = Table(
    "oidc_identities",
    metadata,
    Column("issuer", String(500), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    _instant("created_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),  # SHA-256 of the id in the cookie
    Column("user_id", ForeignKey("users.id"), nullable=False),
    _instant("created_at"),
    _instant("last_seen_at"),
    _instant("expires_at"),
    Index("ix_sessions_user_id", "user_id"),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),  # SHA-256 of the token in the link
    Column("user_id", ForeignKey("users.id"), nullable=False),
    _instant("expires_at"),
    _instant("used_at", nullable=True),
)

sign_in_failures = Table(
    "sign_in_failures",  # so that who guesses passwords waits, whichever process is asked
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),  # SHA-256 of the account and the address
    Column("failures", Integer, nullable=False),
    _instant("waits_until"),
)

audit_log = Table(
    "audit_log",  # triggers refuse to change or remove a row
    metadata,
    _id(),
    _instant("at"),
    Column("actor_kind", String(10), nullable=False),  # user, key, command, visitor
    Column("actor_id", String(36), nullable=True),
    Column("actor_name", String(200), nullable=False),
    Column("address", String(64), nullable=True),
    Column("action", String(50), nullable=False),  # such as key.create
    Column("object_kind", String(20), nullable=False),
    Column("object_id", String(64), nullable=True),
    Column("object_name", String(300), nullable=False),
    Column("workspace_id", String(36), nullable=True),  # outlives the workspace; null: the instance
    Column("before", Text, nullable=True),  # JSON, without secrets
    Column("after", Text, nullable=True),
    Column("request_id", String(64), nullable=True),
    Index("ix_audit_log_workspace_id_at", "workspace_id", "at"),
    Index("ix_audit_log_at", "at"),
)

custom_prices = Table(
    "custom_prices",
    metadata,
    _id(),
    Column("provider", String(50), nullable=False),  # '*' stands for any provider
    Column("model_pattern", String(300), nullable=False),  # exact, or with * at either end
    _instant("valid_from"),
    Column("rates", Text, nullable=False),  # JSON: picodollars per unit, as text
    Column("note", String(300), nullable=False, default=""),
    _instant("created_at"),
    _instant("removed_at", nullable=True),
)

rate_lines = Table(
    "rate_lines",  # every rate line that ever priced an event, so that each stays explainable
    metadata,
    Column("id", String(64), primary_key=True),  # digest of the content
    Column("content", Text, nullable=False),
    _instant("created_at"),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    _id(),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("content", Text, nullable=False),  # the rule as JSON
    _instant("created_at"),
    Index("ix_alert_rules_workspace_id", "workspace_id"),
)

alert_standings = Table(
    "alert_standings",  # what was told last: its key is what makes an alert fire once
    metadata,
    Column("rule_id", String(36), primary_key=True),
    Column("step", Integer, primary_key=True),  # percent of the threshold
    Column("subject", String(300), primary_key=True),
    Column("window_start", BigInteger, primary_key=True),
    Column("told", String(10), nullable=False),  # triggered, resolved
    _instant("at"),
)

alert_history = Table(
    "alert_history",
    metadata,
    _id(),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("rule_id", String(36), nullable=False),  # outlives the rule
    Column("content", Text, nullable=False),  # the alert as JSON
    _instant("at"),
    Index("ix_alert_history_workspace_id_at", "workspace_id", "at"),
)

alert_channels = Table(
    "alert_channels",
    metadata,
    _id(),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("kind", String(20), nullable=False),  # webhook, slack
    Column("name", String(100), nullable=False),
    Column("host", String(300), nullable=False),  # all of the URL that is shown
    Column("sealed", LargeBinary, nullable=False),  # the URL and signing secrets, encrypted
    Column("enabled", Boolean, nullable=False),
    _instant("created_at"),
    Index("ix_alert_channels_workspace_id", "workspace_id"),
)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    _id(),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("channel_id", ForeignKey("alert_channels.id", ondelete="CASCADE"), nullable=False),
    Column("content", Text, nullable=False),  # the alert as JSON
    Column("state", String(10), nullable=False),  # pending, sent, dead
    Column("attempts", Integer, nullable=False),
    _instant("next_attempt_at"),
    _instant("created_at"),
    _instant("sent_at", nullable=True),
    Index("ix_alert_deliveries_state_next_attempt_at", "state", "next_attempt_at"),
    Index("ix_alert_deliveries_workspace_id_created_at", "workspace_id", "created_at"),
)

alert_attempts = Table(
    "alert_attempts",
    metadata,
    Column("delivery_id", ForeignKey("alert_deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    _instant("at"),
    Column("status", Integer, nullable=True),  # of HTTP; null: no answer came
    Column("latency_ms", Integer, nullable=True),
    Column("error", String(300), nullable=True),
)

leases = Table(
    "leases",  # of several servers, the one that does what comes round
    metadata,
    Column("name", String(50), primary_key=True),
    Column("holder", String(36), nullable=False),
    _instant("until"),
)
