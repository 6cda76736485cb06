"""Inviting somebody, who joins in a browser of their own and sees what their role lets them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page

Opener = Callable[..., AbstractContextManager[Page]]
SCREENSHOTS = Path(__file__).parents[3] / "screenshots"
PASSWORD = "correct horse battery staple"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_invited_viewer_joins_and_sees_but_changes_nothing(
    browse: Opener, visit: Opener, accessible: Callable[[Page], None], theme: str
) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    with browse(color_scheme=theme) as page:
        page.goto("/members")
        card = page.get_by_role("region", name="Default")
        card.get_by_text("Invite somebody").click()
        card.get_by_label("For whom").fill("Kim from billing")
        card.locator("details[open]").get_by_label("Role").select_option("viewer")
        page.screenshot(path=SCREENSHOTS / f"members-invite-wide-{theme}.png", full_page=True)
        card.get_by_role("button", name="Make a link").click()
        link = page.locator("#invitation-link").inner_text()
        accessible(page)
        page.screenshot(path=SCREENSHOTS / f"members-invited-wide-{theme}.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.screenshot(path=SCREENSHOTS / f"members-invited-phone-{theme}.png", full_page=True)
    with visit(color_scheme=theme) as guest:
        guest.goto(link)
        accessible(guest)
        guest.screenshot(path=SCREENSHOTS / f"invitation-wide-{theme}.png", full_page=True)
        guest.get_by_label("Choose a username").fill(f"kim-{theme}")
        guest.get_by_label("Choose a password").fill(PASSWORD)
        guest.get_by_role("button", name="Join").click()
        guest.wait_for_url("**/")
        assert guest.get_by_role("heading", name="Overview").is_visible()
        assert guest.get_by_role("link", name="Audit log").count() == 0
        for name in ("members", "keys", "prices", "projects"):
            guest.goto(f"/{name}")
            accessible(guest)
            guest.screenshot(path=SCREENSHOTS / f"viewer-{name}-wide-{theme}.png", full_page=True)
            assert guest.locator("main form button").count() == 0, name
