"""The form of an alert: what its fields say, and what they are to the API."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from zoneinfo import available_timezones

import msgspec
from litestar.datastructures import FormMultiDict

from tokenwatcher_server.alerts.wording import WHAT
from tokenwatcher_server.kernel.clock import to_datetime
from tokenwatcher_server.web.api.alert_views import RuleBody, RuleChange, RuleView
from tokenwatcher_server.web.pages.forms import body_of
from tokenwatcher_server.web.pages.rule_rows import may_change, sentence
from tokenwatcher_server.web.pages.viewer import Names, Viewer

STEPS: Final[Names] = (
    ("100", "at 100 %"),
    ("80,100", "at 80, 100 %"),
    ("50,80,100", "at 50, 80, 100 %"),
)
TYPES: Final[Names] = tuple((name, sentence(what)) for name, what in WHAT.items())
KEEP = "keep"
MUTES: Final[Names] = (
    ("3600", "mute for an hour"),
    ("86400", "mute for a day"),
    ("604800", "mute for a week"),
)
ZONES: Final = ("UTC", *sorted(zone for zone in available_timezones() if zone.startswith(
    ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
)))  # fmt: skip
"""Those that people live in, of the time zone database; any other may be written too."""
UNITS: Final[Mapping[str, str]] = {
    "usd": "US dollars",
    "tokens": "tokens",
    "percent": "percent",
    "ms": "milliseconds",
    "events": "events",
}
_OPTIONAL = ("provider", "model", "tagKey", "tagValue")


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """The fields as text, as the form has them."""

    name: str = ""
    type: str = "daily_cost"
    threshold: str = ""
    steps: str = "80,100"
    scope: str = ""
    """`WORKSPACE/PROJECT`, or `WORKSPACE/` for all of it."""
    provider: str = ""
    model: str = ""
    tag_key: str = ""
    tag_value: str = ""
    timezone: str = ""
    """Empty for the workspace's."""
    channel_ids: tuple[str, ...] = ()
    mute: str = KEEP

    @property
    def step_choices(self) -> Names:
        """The usual steps, and those of an alert that has others."""
        if self.steps in dict(STEPS):
            return STEPS
        return ((self.steps, f"at {self.steps.replace(',', ', ')} %"), *STEPS)


def filled_from(form: FormMultiDict) -> Filled:
    """What was sent; raises nothing, for a wrong field is for the API to name."""
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return Filled(
        name=fields.get("name", ""),
        type=fields.get("type", "daily_cost"),
        threshold=fields.get("threshold", ""),
        steps=fields.get("steps", "100"),
        scope=fields.get("scope", ""),
        provider=fields.get("provider", ""),
        model=fields.get("model", ""),
        tag_key=fields.get("tagKey", ""),
        tag_value=fields.get("tagValue", ""),
        timezone=fields.get("timezone", ""),
        channel_ids=tuple(one for one in form.getall("channelIds", []) if isinstance(one, str)),
        mute=fields.get("mute", KEEP),
    )


def filled_of(rule: RuleView) -> Filled:
    return Filled(
        name=rule.name,
        type=rule.type,
        threshold=rule.threshold,
        steps=",".join(map(str, rule.steps)),
        scope=f"{rule.workspace_id}/{rule.project_id or ''}",
        provider=rule.provider or "",
        model=rule.model or "",
        tag_key=rule.tag_key or "",
        tag_value=rule.tag_value or "",
        timezone=rule.timezone,
        channel_ids=tuple(rule.channel_ids),
    )


def new_body(filled: Filled) -> RuleBody:
    """As the API takes a new alert; raises AppError for fields it can't be."""
    workspace, _, project = filled.scope.partition("/")
    given = _common(filled) | {"workspaceId": workspace, "type": filled.type}
    return body_of(given | ({"projectId": project} if project else {}), RuleBody)


def change_body(filled: Filled, now_us: int) -> RuleChange:
    """As the API takes a change; raises AppError for fields it can't be."""
    given = _common(filled)
    given |= {name: given.get(name) for name in _OPTIONAL}
    if filled.mute != KEEP:
        seconds = int(filled.mute) if filled.mute in dict(MUTES) else 0
        until = to_datetime(now_us) + timedelta(seconds=seconds)
        given["mutedUntil"] = until.isoformat() if seconds else None
    return body_of(given, RuleChange)


def _common(filled: Filled) -> dict[str, Any]:
    texts = {
        "name": filled.name,
        "threshold": filled.threshold,
        "provider": filled.provider,
        "model": filled.model,
        "tagKey": filled.tag_key,
        "tagValue": filled.tag_value,
        "timezone": filled.timezone,
    }
    steps = [int(one) for one in filled.steps.split(",") if one.isdecimal() and one.isascii()]
    named = {name: text.strip() for name, text in texts.items() if text.strip()}
    return named | {"steps": steps, "channelIds": list(filled.channel_ids)}


def scopes_of(viewer: Viewer) -> Names:
    """Where the viewer may make an alert."""
    whole = [
        (f"{key}/", f"all of {name}") for key, name in viewer.workspaces if may_change(viewer, key)
    ]
    names = dict(viewer.projects)
    projects = [
        (f"{workspace}/{project}", names[project])
        for project, workspace in viewer.homes
        if may_change(viewer, workspace)
    ]
    return (*whole, *projects)
