"""When an alert rule would have told in the last 90 days, before it is saved or afterwards."""

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.alerts.preview import Preview, preview
from tokenwatcher_server.alerts.rule import Rule, text_of
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.web.api.alert_views import RuleBody
from tokenwatcher_server.web.api.alerts import AnyRequest, rule_of, visible_rule
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.rate_limit import count_question
from tokenwatcher_server.web.services import services_of


class DayView(msgspec.Struct, frozen=True):
    """The most that was measured on a day, in the rule's unit; null where there was nothing."""

    start: str
    value: str | None
    subject: str | None


class FiredView(msgspec.Struct, frozen=True):
    """`at` is the end of the hour or day that passed the step, or now."""

    at: str
    step: int
    threshold: str
    value: str
    subject: str | None


class PreviewView(msgspec.Struct, frozen=True):
    unit: str
    days: list[DayView]
    fired: list[FiredView]


class Previewed(msgspec.Struct, frozen=True):
    preview: PreviewView


async def preview_of(request: AnyRequest, principal: Principal, rule: Rule) -> Preview:
    """Ask the store, within the limits of questions."""
    services = services_of(request)
    await count_question(services, principal)
    cooldown_seconds = services.settings.alert_cooldown_minutes * 60
    now_us = services.clock.now_us()
    return await preview(services.store, rule, now_us, cooldown_seconds=cooldown_seconds)


@post(
    "/api/alerts/preview",
    status_code=200,
    summary="When a rule would have told in the last 90 days; nothing is saved",
    right="alerts.change",
)
async def preview_alert(
    request: AnyRequest, principal: Caller, data: JSONBody[RuleBody]
) -> Previewed:
    rule = await rule_of(request, principal, data)
    return _view(rule, await preview_of(request, principal, rule))


@get("/api/alerts/{rule_id:str}/preview", summary="When it would have told in the last 90 days")
async def preview_one(request: AnyRequest, principal: Caller, rule_id: FromPath[str]) -> Previewed:
    rule = await visible_rule(request, principal, rule_id)
    return _view(rule, await preview_of(request, principal, rule))


def _view(rule: Rule, found: Preview) -> Previewed:
    unit = rule.watched.unit
    return Previewed(
        PreviewView(
            unit,
            [
                DayView(
                    iso(day.start),
                    None if day.value is None else text_of(day.value, unit),
                    day.subject or None,
                )
                for day in found.days
            ],
            [
                FiredView(
                    iso(one.at),
                    one.step,
                    text_of(rule.level(one.step), unit),
                    text_of(one.value, unit),
                    one.subject or None,
                )
                for one in found.fired
            ],
        )
    )


ROUTES = (preview_alert, preview_one)
