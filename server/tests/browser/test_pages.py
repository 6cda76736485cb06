"""Every page, in both themes and at both widths: quiet, accessible, and no wider than its window."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page

Opener = Callable[..., AbstractContextManager[Page]]
SCREENSHOTS = Path(__file__).parents[3] / "screenshots"
PAGES = {
    "overview": "/",
    "overview-today": "/?days=1",
    "overview-filtered": "/?provider=openai&model=gpt-4o&tag.feature=chat&tagKey=team&days=90",
    "overview-nothing": "/?model=nobody-calls-this",
    "explore": "/explore?measures=cost,calls,totalTokens&groupBy=model",
    "explore-compared": "/explore?measures=latencyP95,calls&groupBy=tag.feature&compare=before&days=7",
    "explore-nothing": "/explore?measures=cost&groupBy=userId&model=nobody-calls-this",
    "users": "/users",
    "models": "/models",
    "alerts": "/alerts",
    "alert-new": "/alerts/new",
    "prices": "/prices?provider=a&model=b",
    "settings": "/settings",
    "security": "/settings/security",
    "start": "/start",
    "keys": "/keys",
    "projects": "/projects",
    "audit-log": "/audit-log",
    "api": "/docs",
    "members": "/members",
    "account": "/account",
    "events": "/events",
    "events-failed": "/events?status=error",
}
WIDTHS = {"widest": (2560, 1300), "wide": (1440, 1000), "phone": (390, 844)}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_accessible_and_no_wider_than_its_window(
    browse: Opener, accessible: Callable[[Page], None], name: str, theme: str
) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    with browse(color_scheme=theme) as page:
        page.goto(PAGES[name])
        page.evaluate("document.fonts.ready")
        for width, (wide, high) in WIDTHS.items():
            page.set_viewport_size({"width": wide, "height": high})
            assert page.evaluate("document.documentElement.scrollWidth") <= wide, width
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{theme}.png", full_page=True)
            if width == "wide" or name == "overview":  # axe takes seconds; widths differ in little
                accessible(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_event_is_explained_line_by_line(
    browse: Opener, accessible: Callable[[Page], None], theme: str
) -> None:
    with browse(color_scheme=theme) as page:
        page.goto("/events?model=gpt-4o&status=success")
        page.locator("tbody a").first.click()
        page.wait_for_url("**/events/*")
        arithmetic = page.get_by_role("region", name="How the cost came about")
        assert arithmetic.locator("tbody tr").count() >= 2
        assert "per 1M" in arithmetic.inner_text()
        page.screenshot(path=SCREENSHOTS / f"event-wide-{theme}.png", full_page=True)
        accessible(page)


def test_the_first_page_is_light(browse: Opener) -> None:
    with browse() as page:
        sizes: list[int] = []
        page.on(
            "response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0)))
        )
        page.goto("/", wait_until="networkidle")
        assert 20_000 < sum(sizes) < 300_000


def test_the_chosen_theme_is_in_the_next_page_from_the_start(browse: Opener) -> None:
    with browse(color_scheme="light") as page:
        page.goto("/")
        page.get_by_title("Dark").click()
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.reload()
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.get_by_title("As the system").click()
        page.reload()
        assert page.locator("html").get_attribute("data-theme") is None
