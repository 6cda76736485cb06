"""Everything that people change, and every page, in a browser that runs no script."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, expect

Opener = Callable[..., AbstractContextManager[Page]]


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/", "Overview"),
        ("/explore", "Explore"),
        ("/events", "Events"),
        ("/users", "Users"),
        ("/models", "Models"),
        ("/alerts", "Alerts"),
        ("/projects", "Projects"),
        ("/keys", "API keys"),
        ("/prices", "Prices"),
        ("/members", "Members"),
        ("/audit-log", "Audit log"),
        ("/account", "Your account"),
        ("/settings", "Settings"),
        ("/settings/security", "Security"),
        ("/docs", "API"),
    ],
)
def test_a_page_needs_no_script(browse: Opener, path: str, heading: str) -> None:
    with browse(java_script_enabled=False) as page:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        assert page.locator(".with-script:visible").count() == 0


def test_a_key_is_made_rotated_and_revoked_without_script(browse: Opener) -> None:
    with browse(java_script_enabled=False) as page:
        page.goto("/keys")
        page.get_by_label("Name").fill("without a script")
        page.get_by_role("button", name="Make the key").click()
        made = page.locator("#raw-key").inner_text()
        row = page.locator("tr", has_text="without a script")
        row.get_by_text("Change", exact=True).click()
        row.get_by_role("button", name="Rotate").click()
        rotated = page.locator("#raw-key").inner_text()
        assert {made[:8], rotated[:8]} == {"tw_live_"}
        assert made != rotated
        row = page.locator("tr", has_text="without a script").first
        row.get_by_text("Change", exact=True).click()
        row.get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("Revoked and expired keys (")).to_be_visible()


def test_somebody_is_invited_without_script(browse: Opener) -> None:
    with browse(java_script_enabled=False) as page:
        page.goto("/members")
        card = page.get_by_role("region", name="Default")
        card.get_by_text("Invite somebody").click()
        card.get_by_label("For whom").fill("Robin from support")
        card.get_by_role("button", name="Make a link").click()
        expect(page.locator("#invitation-link")).to_contain_text("/invitation")
