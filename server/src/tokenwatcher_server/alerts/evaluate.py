"""Decides what has to be told: values and what was told before in, transitions out. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.kernel.clock import MICROSECONDS

Told = Literal["triggered", "resolved"]


class Place(msgspec.Struct, frozen=True):
    """What is told once: a step of a rule, for a subject, in a window."""

    step: int
    subject: str
    """Empty where the rule watches one sum."""
    window_start: int
    """0 for a window that moves with time: it is told again only after it was resolved."""


class Standing(msgspec.Struct, frozen=True):
    """What was told last of a place, and when."""

    told: Told
    at: int


class Transition(msgspec.Struct, frozen=True):
    place: Place
    told: Told
    value: int


def transitions(
    rule: Rule,
    window_start: int,
    values: Mapping[str, int],
    before: Mapping[Place, Standing],
    *,
    now_us: int,
    cooldown_seconds: int,
    complete: bool = True,
) -> list[Transition]:
    """What changed, lowest step first; not `complete` are values that lack some subjects.

    1. A step whose level is reached tells once in a window, for each subject.
    2. One that was told and is no longer reached in the same window is resolved.
    3. One that was resolved tells again, but not before the cooldown is over.
    """
    found: list[Transition] = []
    for step in rule.steps:
        level = rule.level(step)
        for subject, value in sorted(values.items()):
            place = Place(step, subject, window_start)
            told = before.get(place)
            if value >= level and _may_tell(told, now_us, cooldown_seconds):
                found.append(Transition(place, "triggered", value))
            elif value < level and told is not None and told.told == "triggered":
                found.append(Transition(place, "resolved", value))
    return found + (_gone(values, before, window_start) if complete else [])


def _may_tell(told: Standing | None, now_us: int, cooldown_seconds: int) -> bool:
    if told is None:
        return True
    return told.told == "resolved" and now_us - told.at >= cooldown_seconds * MICROSECONDS


def _gone(
    values: Mapping[str, int], before: Mapping[Place, Standing], window_start: int
) -> list[Transition]:
    """Subjects that were told of and have no value any more in this window."""
    return [
        Transition(place, "resolved", 0)
        for place, standing in before.items()
        if place.window_start == window_start
        and place.subject not in values
        and standing.told == "triggered"
    ]
