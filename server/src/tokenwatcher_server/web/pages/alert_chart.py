"""The last 90 days of an alert as a picture, and as the table that says the same."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.alerts.preview import Day, Preview
from tokenwatcher_server.alerts.rule import SCALE, Rule, Unit, text_of
from tokenwatcher_server.alerts.wording import amount
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.kernel.period import day_of
from tokenwatcher_server.usage.chart import HEIGHT, WIDTH, nice_ticks
from tokenwatcher_server.usage.text import count_short, day_text, duration, money_short
from tokenwatcher_server.web.pages.spend_chart import Label, bucket_name, labels

GAP = 0.15
MOST_ROWS = 200


class Line(msgspec.Struct, frozen=True):
    y: str
    text: str


class Mark(msgspec.Struct, frozen=True):
    """A day on which it would have told."""

    x: str
    width: str


class PreviewRow(msgspec.Struct, frozen=True):
    when: str
    step: int
    value: str
    threshold: str
    subject: str


class Bar(msgspec.Struct, frozen=True):
    x: str
    width: str
    title: str


class PreviewChart(msgspec.Struct, frozen=True):
    said: str
    """How often it would have told, in a sentence."""
    paths: tuple[tuple[str, str], ...]
    """By level: `calm`, `near` (its first step) and `over` (the whole threshold)."""
    bars: tuple[Bar, ...]
    ticks: tuple[Line, ...]
    steps: tuple[Line, ...]
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    rows: tuple[PreviewRow, ...]
    more: int
    """How many rows are not among them."""
    zone: str
    height: int = int(HEIGHT)


def preview_chart(rule: Rule, preview: Preview) -> PreviewChart:
    """Lay a preview out on the chart's plane, with the threshold in view."""
    unit, zone = rule.watched.unit, ZoneInfo(rule.zone)
    levels = [rule.level(step) for step in rule.steps]
    most = max((day.value or 0 for day in preview.days), default=0)
    ticks = nice_ticks(max(most, rule.threshold))
    top, place = ticks[-1], WIDTH / len(preview.days)
    fired_on = {day_of(one.at - 1, zone) for one in preview.fired}
    rows = tuple(
        PreviewRow(
            _when(one.at, zone, by_hour=rule.watched.window in _BY_HOUR),
            one.step,
            amount(text_of(one.value, unit), unit),
            amount(text_of(rule.level(one.step), unit), unit),
            one.subject,
        )
        for one in reversed(preview.fired)
    )
    return PreviewChart(
        said=_said(preview),
        paths=tuple(
            (level, _path(preview.days, level, levels[0], rule.threshold, top))
            for level in ("calm", "near", "over")
        ),
        bars=tuple(
            Bar(
                _text(number * place),
                _text(place),
                _title(day, unit, zone),
            )
            for number, day in enumerate(preview.days)
        ),
        ticks=tuple(
            Line(_text(HEIGHT - HEIGHT * tick / top), _short(tick, unit)) for tick in ticks
        ),
        steps=tuple(
            Line(
                _text(HEIGHT - HEIGHT * level / top),
                f"{step} %: {amount(text_of(level, unit), unit)}",
            )
            for step, level in zip(rule.steps, levels, strict=True)
            if level <= top
        ),
        marks=tuple(
            Mark(_text(number * place + place * GAP), _text(place * (1 - 2 * GAP)))
            for number, day in enumerate(preview.days)
            if day_of(day.start, zone) in fired_on
        ),
        labels=tuple(labels([day.start for day in preview.days], "day", zone)),
        rows=rows[:MOST_ROWS],
        more=max(0, len(rows) - MOST_ROWS),
        zone=zone.key,
    )


_BY_HOUR = frozenset({"hour", "last hour"})


def _when(at: int, zone: ZoneInfo, *, by_hour: bool) -> str:
    """The hour or day that ended then."""
    if by_hour:
        return bucket_name((at - 1) // HOUR_US * HOUR_US, "hour", zone)
    return bucket_name(at - 1, "day", zone)


def _said(preview: Preview) -> str:
    if all(day.value is None for day in preview.days):
        return "Nothing was measured in the last 90 days."
    times = len(preview.fired)
    if not times:
        return "It would not have spoken up in the last 90 days."
    often = "once" if times == 1 else "twice" if times == 2 else f"{times:,} times"
    return f"It would have spoken up {often} in the last 90 days."


def _short(parts: int, unit: Unit) -> str:
    """An amount beside the plot, where there is little room."""
    if unit == "usd":
        return money_short(parts)
    if unit == "percent":
        return f"{parts / SCALE[unit]:g} %"
    return duration(parts) if unit == "ms" else count_short(parts)


def _title(day: Day, unit: Unit, zone: ZoneInfo) -> str:
    name = day_text(day_of(day.start, zone))
    if day.value is None:
        return f"{name}: nothing"
    value = amount(text_of(day.value, unit), unit)
    return f"{name}: {value}{f', {day.subject}' if day.subject else ''}"


def _path(days: Sequence[Day], level: str, first: int, whole: int, top: int) -> str:
    place = WIDTH / len(days)
    pieces = []
    for number, day in enumerate(days):
        value = max(0, day.value or 0)
        found = "over" if value >= whole else "near" if value >= first else "calm"
        height = HEIGHT * value / top
        if found == level and height >= 0.5:
            x, width = number * place + place * GAP, place * (1 - 2 * GAP)
            pieces.append(
                f"M{_text(x)} {_text(HEIGHT - height)}h{_text(width)}V{_text(HEIGHT)}"
                f"h-{_text(width)}z"
            )
    return "".join(pieces)


def _text(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
