"""`POST /api/csp-reports`: browsers tell what a page tried that the policy does not allow.

Anybody may send reports, so little is believed and less is kept: which directive, which server
and which part of the dashboard, never a whole address, as that may hold a secret.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tokenwatcher_server.access.rate_limits import Limit, RateLimits
from tokenwatcher_server.ingest.body import read_body
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.kernel.errors import AppError, Kind, invalid
from tokenwatcher_server.observability.metrics import Metrics
from tokenwatcher_server.web.client_address import hop_of
from tokenwatcher_server.web.errors import method_not_allowed
from tokenwatcher_server.web.reply import Reply, problem_reply

LARGEST_REPORT = 20_000
AN_ADDRESS_SENDS = Limit(60, 60)
MOST_KINDS = 100
_TYPES = frozenset({b"application/csp-report", b"application/reports+json"})
_WORD = re.compile(r"[a-z][a-z-]{0,39}\Z", re.ASCII)
_PART = re.compile(r"/[a-z-]{0,30}(?=/|\Z)", re.ASCII)


class Violation(msgspec.Struct, frozen=True):
    """What was tried: `directive` forbids it, `blocked` is a server or a word such as `inline`."""

    directive: str
    blocked: str
    page: str
    """The part of the dashboard: the first step of the page's path."""


class Seen(msgspec.Struct, frozen=True):
    violation: Violation
    times: int
    last_at: int


class _Old(msgspec.Struct, rename="kebab"):
    document_uri: str = ""
    effective_directive: str = ""
    violated_directive: str = ""
    blocked_uri: str = ""


class _OldReport(msgspec.Struct, rename="kebab"):
    csp_report: _Old


class _New(msgspec.Struct):
    document_url: str = msgspec.field(default="", name="documentURL")
    blocked_url: str = msgspec.field(default="", name="blockedURL")
    effective_directive: str = msgspec.field(default="", name="effectiveDirective")


class _NewReport(msgspec.Struct):
    type: str = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")


class Violations:
    """Counts what was reported since the server started, in a table of bounded size."""

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock,
        limits: RateLimits,
        trusted_proxies: tuple[str, ...],
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._limits = limits
        self._trusted_proxies = trusted_proxies
        self._seen: dict[Violation, Seen] = {}

    def seen(self) -> Sequence[Seen]:
        """What was reported, the latest first."""
        return sorted(self._seen.values(), key=lambda one: one.last_at, reverse=True)

    async def receive(
        self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], receive: Any
    ) -> Reply:
        """Answer a report; raises AppError for one that can't be taken."""
        if scope["method"] != "POST":
            return problem_reply(
                method_not_allowed(scope["state"]["request_id"]), {"Allow": "POST"}
            )
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        sender = hop_of(scope, forwarded, self._trusted_proxies)
        standing = await self._limits.count(f"csp:{sender}", AN_ADDRESS_SENDS)
        if standing.exceeded:
            raise AppError(
                Kind.RATE_LIMITED,
                "RATE_LIMITED",
                "Too many reports.",
                retry_after=standing.resets_in,
            )
        host = headers.get(b"host", b"").decode("latin-1")
        for violation in read_reports(await _read(headers, receive), host):
            self._count(violation)
        return Reply(204, b"")

    def _count(self, violation: Violation) -> None:
        self._metrics.csp_violations.inc()
        if violation not in self._seen and len(self._seen) >= MOST_KINDS:
            violation = Violation("other", "other", "/")
        times = self._seen[violation].times if violation in self._seen else 0
        self._seen[violation] = Seen(violation, times + 1, self._clock.now_us())


async def _read(headers: Mapping[bytes, bytes], receive: Any) -> bytes:
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() not in _TYPES:
        raise AppError(Kind.UNSUPPORTED, "NOT_A_REPORT", "Only browsers' reports are taken here.")
    return await read_body(
        {**headers, b"content-type": b"application/json"}, receive, LARGEST_REPORT
    )


def read_reports(body: bytes, host: str) -> list[Violation]:
    """The violations on pages of this host; raises AppError (400) for what is no report."""
    try:
        if body.lstrip()[:1] != b"[":
            old = msgspec.json.decode(body, type=_OldReport).csp_report
            directive = old.effective_directive or old.violated_directive.partition(" ")[0]
            found = [(old.document_uri, directive, old.blocked_uri)]
        else:
            reports = msgspec.json.decode(body, type=list[_NewReport])
            bodies = [
                msgspec.json.decode(one.body, type=_New)
                for one in reports
                if one.type == "csp-violation"
            ]
            found = [(one.document_url, one.effective_directive, one.blocked_url) for one in bodies]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("This is no report that can be read.", code="MALFORMED_JSON") from None
    return [
        Violation(_word(directive), _server(blocked), _part(page))
        for page, directive, blocked in found
        if _host_of(page) == host.lower()
    ]


def _word(text: str) -> str:
    return text if _WORD.match(text) else "other"


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def _server(blocked: str) -> str:
    """What was blocked: the server of an address, or the word that stands for no address."""
    if _WORD.match(blocked):
        return blocked
    found = re.match(r"(?:https?|wss?)://[A-Za-z0-9._\[\]:-]{1,100}(?=/|\Z|\?|#)", blocked)
    return found[0] if found else "other"


def _part(page: str) -> str:
    found = _PART.match(urlsplit(page).path)
    return found[0] if found else "/"
