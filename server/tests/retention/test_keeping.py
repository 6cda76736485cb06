"""How long things are kept is whole days of UTC, for each workspace by itself."""

from typing import Any

import pytest

from tokenwatcher_server.access.workspaces import Workspace
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.retention.keeping import due

MIDNIGHT = 20_000 * DAY_US


def workspace(**kept: Any) -> Workspace:
    return Workspace(WorkspaceId("w"), "W", "w", 0, **kept)


def wanted(now_us: int, **kept: Any) -> list[tuple[str, int]]:
    return [(each.what, each.before_us) for each in due([workspace(**kept)], now_us)]


@pytest.mark.parametrize("later", [0, 1, DAY_US - 1])
def test_a_day_goes_as_a_whole_once_all_of_it_is_too_old(later: int) -> None:
    kept = {"keep_events_days": 7, "keep_prompts_days": None}
    assert wanted(MIDNIGHT + later, **kept) == [("events", MIDNIGHT - 7 * DAY_US)]


def test_nothing_is_too_old_where_everything_is_kept() -> None:
    assert wanted(MIDNIGHT, keep_events_days=None, keep_prompts_days=None) == []


def test_prompts_go_after_thirty_days_unless_it_is_said_otherwise() -> None:
    assert wanted(MIDNIGHT) == [("prompts", MIDNIGHT - 30 * DAY_US)]


@pytest.mark.parametrize(("prompts", "kinds"), [(6, ["events", "prompts"]), (7, ["events"])])
def test_prompts_are_not_looked_for_where_their_events_go_first(
    prompts: int, kinds: list[str]
) -> None:
    found = wanted(MIDNIGHT, keep_events_days=7, keep_prompts_days=prompts)
    assert [what for what, _ in found] == kinds
