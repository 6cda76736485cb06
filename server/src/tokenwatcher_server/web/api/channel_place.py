"""Where a new channel leads: what was given for its kind, checked before it is kept."""

from typing import Any, NamedTuple

from litestar import Request

from tokenwatcher_server.alerts.channel_store import host_of
from tokenwatcher_server.alerts.channels import email, pagerduty
from tokenwatcher_server.alerts.signing import new_secret
from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.outbound.errors import NotSent
from tokenwatcher_server.outbound.mail import is_email_address
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]


class Place(NamedTuple):
    """Where a channel leads; `shown` is all that people see of it."""

    url: str
    secrets: tuple[str, ...]
    shown: str


async def place_of(request: AnyRequest, kind: str, given: str) -> Place:
    """Raises AppError (400) for a place that this kind of channel can't lead to."""
    if kind == "email":
        if services_of(request).settings.smtp_host is None:
            issue = Issue("kind", "needs a mail server: set SMTP_HOST and ALERT_EMAIL_FROM")
            raise invalid(f"kind {issue.message}.", issue)
        if not is_email_address(given):
            raise invalid("url is no e-mail address.", Issue("url", "is no e-mail address"))
        return Place(email.SCHEME + given, (), given)
    if kind == "pagerduty":
        if not pagerduty.is_routing_key(given):
            issue = Issue("url", "is no integration key: 32 letters and digits")
            raise invalid(f"url {issue.message}.", issue)
        return Place(pagerduty.URL, (given,), host_of(pagerduty.URL))
    await _check_target(request, given)
    secrets = (new_secret(),) if kind == "webhook" else ()
    return Place(given, secrets, host_of(given))


async def _check_target(request: AnyRequest, url: str) -> None:
    """Raise AppError (400) where a request may not go, or nobody is there."""
    try:
        await services_of(request).gate.check(url)
    except NotSent as refused:
        issue = Issue("url", "can't be used; see WEBHOOK_ALLOWED_HOSTS for servers of your own")
        raise invalid(f"url: {refused}", issue) from None
