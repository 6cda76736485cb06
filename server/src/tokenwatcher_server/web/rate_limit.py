"""The limit on requests that send events: by key, and by address where there is no valid key."""

from collections.abc import Mapping
from typing import Any

from tokenwatcher_server.access.keys import Key
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.rate_limits import Limit, RateLimits, Standing
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.settings import Settings
from tokenwatcher_server.web.client_address import hop_of, network_of
from tokenwatcher_server.web.reply import RawHeaders
from tokenwatcher_server.web.services import Services

MOST_WITHOUT_KEY = 120
QUESTION_WINDOW = 60
"""In seconds."""


class SendingLimit:
    def __init__(self, settings: Settings, limits: RateLimits) -> None:
        most, seconds = (
            settings.ingest_rate_limit_max_requests,
            settings.ingest_rate_limit_window_seconds,
        )
        self._limits = limits
        self._enabled = settings.ingest_rate_limit_enabled
        self._of_key = Limit(most, seconds)
        self._of_address = Limit(min(most, MOST_WITHOUT_KEY), seconds)
        self._trusted_proxies = settings.trusted_proxies

    async def count(
        self, key: Key | None, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]
    ) -> Standing | None:
        """Count a request before its body is read; None where nothing is limited."""
        if not self._enabled:
            return None
        if key is not None:
            return await self._limits.count(f"key:{key.id}", self._of_key)
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        address = network_of(hop_of(scope, forwarded, self._trusted_proxies))
        return await self._limits.count(f"address:{address}", self._of_address)


async def count_guess(
    settings: Settings,
    limits: RateLimits,
    scope: Mapping[str, Any],
    headers: Mapping[bytes, bytes],
) -> None:
    """Count a question with a key that doesn't hold; raises AppError (429) for one too many."""
    standing = await SendingLimit(settings, limits).count(None, scope, headers)
    if standing is not None:
        check(standing)


async def count_question(services: Services, principal: Principal) -> None:
    """Count a question about many events; raises AppError (429) for one too many."""
    asker = principal.key or (principal.session and principal.session.user)
    most = services.settings.query_rate_limit_max_requests
    standing = await services.limits.count(
        f"questions:{asker.id if asker else None}", Limit(most, QUESTION_WINDOW)
    )
    if standing.exceeded:
        raise AppError(
            Kind.RATE_LIMITED,
            "RATE_LIMITED",
            "Too many questions: wait a while, or ask for more in each.",
            retry_after=standing.resets_in,
            most=standing.most,
        )


def check(standing: Standing) -> None:
    """Raise AppError (429) for one request too many."""
    if standing.exceeded:
        raise AppError(
            Kind.RATE_LIMITED,
            "RATE_LIMITED",
            "Too many requests: wait a while, or send more events in each. Nothing was stored.",
            retry_after=standing.resets_in,
            most=standing.most,
        )


def rate_headers(standing: Standing) -> RawHeaders:
    """`RateLimit-*`: the limit, what is left of it, and the seconds until all of it is again."""
    return (
        (b"ratelimit-limit", b"%d" % standing.most),
        (b"ratelimit-remaining", b"%d" % max(0, standing.left)),
        (b"ratelimit-reset", b"%d" % standing.resets_in),
    )
