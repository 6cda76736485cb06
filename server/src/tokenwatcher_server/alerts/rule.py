"""What a rule watches, and what its numbers mean."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, localcontext
from typing import Final, Literal, get_args

import msgspec

from tokenwatcher_server.events.query import Dimension, Measure
from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.kernel.money import PICODOLLARS_PER_USD, usd_text
from tokenwatcher_server.kernel.period import is_zone

RuleType = Literal[
    "hourly_cost",
    "daily_cost",
    "weekly_cost",
    "monthly_cost",
    "cost_forecast",
    "cost_anomaly",
    "daily_tokens",
    "model_daily_cost",
    "user_daily_cost",
    "tag_cost",
    "error_rate",
    "latency_p95",
    "unpriced_events",
    "prompt_growth",
]
RULE_TYPES: Final[tuple[RuleType, ...]] = get_args(RuleType)
Window = Literal["hour", "day", "week", "month", "last hour"]
Unit = Literal["usd", "tokens", "percent", "ms", "events"]
SCALE: Final[Mapping[Unit, int]] = {
    "usd": PICODOLLARS_PER_USD,
    "tokens": 1,
    "percent": 100,
    "ms": 1,
    "events": 1,
}
"""Values are whole numbers: picodollars, tokens, hundredths of a percent, milliseconds, events."""
MOST_STEPS = 5


class Watched(msgspec.Struct, frozen=True):
    """How a type of rule is measured.

    `error_rate` is the part of the calls that failed, `cost_forecast` what the month will have
    cost if it goes on as it went so far, `cost_anomaly` what this hour costs beyond the usual,
    `prompt_growth` how much longer than usual the median call of a feature is today.
    """

    measures: tuple[Measure, ...]
    window: Window
    unit: Unit


WATCHED: Final[Mapping[RuleType, Watched]] = {
    "hourly_cost": Watched(("cost",), "hour", "usd"),
    "daily_cost": Watched(("cost",), "day", "usd"),
    "weekly_cost": Watched(("cost",), "week", "usd"),
    "monthly_cost": Watched(("cost",), "month", "usd"),
    "cost_forecast": Watched(("cost",), "month", "usd"),
    "cost_anomaly": Watched(("cost",), "hour", "usd"),
    "daily_tokens": Watched(("total_tokens",), "day", "tokens"),
    "model_daily_cost": Watched(("cost",), "day", "usd"),
    "user_daily_cost": Watched(("cost",), "day", "usd"),
    "tag_cost": Watched(("cost",), "day", "usd"),
    "error_rate": Watched(("errors", "calls"), "last hour", "percent"),
    "latency_p95": Watched(("latency_p95",), "last hour", "ms"),
    "unpriced_events": Watched(("unpriced",), "day", "events"),
    "prompt_growth": Watched(("calls", "input_tokens_p50"), "day", "percent"),
}
_BY_TAG: Final = frozenset[RuleType]({"tag_cost", "prompt_growth"})
"""They look at each value of a tag key, unless one is named."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold on what a workspace or one of its projects does in a window of time."""

    id: str
    workspace_id: str
    project_id: str | None
    name: str
    type: RuleType
    threshold: int
    """In whole parts of the unit; see SCALE."""
    steps: tuple[int, ...] = (100,)
    """Percents of the threshold that each tell once, ascending."""
    provider: str | None = None
    model: str | None = None
    tag_key: str | None = None
    tag_value: str | None = None
    zone: str = "UTC"
    channel_ids: tuple[str, ...] = ()
    """None of them means every channel of the workspace."""
    enabled: bool = True
    muted_until: int | None = None
    created_at: int = 0
    changed_at: int = 0
    """Since when it watches what it does."""

    @property
    def watched(self) -> Watched:
        return WATCHED[self.type]

    def level(self, step: int) -> int:
        """The value from which on this step tells, rounded up to a whole part."""
        return -(-self.threshold * step // 100)


def watches_the_same(before: Rule, after: Rule) -> bool:
    """Whether a change leaves alone when the rule tells."""
    told = {"name": after.name, "channel_ids": after.channel_ids, "muted_until": after.muted_until}
    return msgspec.structs.replace(before, **told) == after


def subject_of(rule: Rule) -> Dimension | None:
    """What a rule looks at one by one: each user, or each value of a tag key."""
    if rule.type == "user_daily_cost":
        return Dimension("user")
    if rule.type in _BY_TAG and rule.tag_value is None:
        return Dimension("tag", rule.tag_key)
    return None


def checked(rule: Rule) -> Rule:
    """The rule, if it makes sense. Raises AppError naming every field that doesn't."""
    issues = [Issue(field, message) for field, message in _complaints(rule)]
    if issues:
        raise invalid(f"{issues[0].path} {issues[0].message}.", *issues)
    return rule


def _complaints(rule: Rule) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not 0 < rule.threshold < 2**63:
        found.append(("threshold", "must be more than zero, and not beyond all measure"))
    steps = rule.steps
    if not 0 < len(steps) <= MOST_STEPS or list(steps) != sorted(set(steps)):
        found.append(("steps", f"must be 1 to {MOST_STEPS} percents, ascending"))
    elif not all(1 <= step <= 1000 for step in steps):
        found.append(("steps", "must be percents from 1 to 1000"))
    if rule.type == "model_daily_cost" and rule.model is None:
        found.append(("model", "is needed for model_daily_cost"))
    if rule.type in _BY_TAG and rule.tag_key is None:
        found.append(("tagKey", f"is needed for {rule.type}"))
    if rule.type not in _BY_TAG and rule.tag_key is not None and rule.tag_value is None:
        found.append(("tagValue", f"is needed beside a tagKey for {rule.type}"))
    if rule.tag_value is not None and rule.tag_key is None:
        found.append(("tagValue", "needs a tagKey"))
    if not is_zone(rule.zone):
        found.append(("timezone", "must be a name of the time zone database"))
    return found


def parts_of(text: str, unit: Unit) -> int:
    """A threshold as people write it, `12.50`, in whole parts. Raises AppError."""
    try:
        with localcontext(prec=60):
            amount = Decimal(text) * SCALE[unit]
            whole = int(amount) if amount.is_finite() and amount.adjusted() < 30 else -1
    except InvalidOperation:
        whole, amount = -1, Decimal(0)
    if whole != amount or whole < 0:
        message = f"must be a number of {unit} that isn't finer than 1/{SCALE[unit]}"
        raise invalid(f"threshold {message}.", Issue("threshold", message))
    return whole


def text_of(parts: int, unit: Unit) -> str:
    """Whole parts as exact decimal text in the unit."""
    if unit == "usd":
        return usd_text(parts)
    whole, rest = divmod(parts, SCALE[unit])
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") if unit == "percent" else str(whole)
