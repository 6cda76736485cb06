"""What a running server is made of; handlers reach it by `services_of(request)`."""

from typing import Any, cast

import msgspec

from tokenwatcher_server.access.login import Login
from tokenwatcher_server.access.oidc_provider import Provider
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.projects import ProjectDirectory
from tokenwatcher_server.access.rate_limits import RateLimits
from tokenwatcher_server.access.verifier import KeyVerifier
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.alerts.watch import Watch
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.events.export import FileWriter
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.ingest.commit import Committer
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.observability.metrics import Metrics
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.retention.person import People
from tokenwatcher_server.retention.upkeep import Retention
from tokenwatcher_server.settings import Settings
from tokenwatcher_server.web.csp_reports import Violations


class Services(msgspec.Struct, frozen=True, kw_only=True):
    settings: Settings
    clock: Clock
    database: Database
    store: EventStore
    prices: PriceBook
    committer: Committer
    metrics: Metrics
    keys: KeyVerifier
    projects: ProjectDirectory
    passwords: Passwords
    login: Login
    oidc: Provider | None
    """The OpenID Connect provider, where there is one."""
    csrf_secret: bytes
    limits: RateLimits
    violations: Violations
    gate: Gate
    seal: Seal
    watch: Watch
    deliveries: Deliveries
    retention: Retention
    people: People
    parquet: FileWriter
    local_token: str
    """Lets the command line of this machine ask the running server (see `web/api/local.py`)."""


def services_of(request: Any) -> Services:
    """The services of the application that serves this request."""
    return cast(Services, request.app.state.services)
