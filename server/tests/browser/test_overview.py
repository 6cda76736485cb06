"""The overview as people use it: by pointer, by keyboard, without script, and while it moves."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from playwright.sync_api import Browser, Page, expect

Opener = Callable[..., AbstractContextManager[Page]]


def one_call(dashboard: Any, **fields: Any) -> str:
    """Send an event; gives its id."""
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 900, "outputTokens": 90}
    with dashboard.client(dashboard.write_key) as client:
        answer = client.post("/api/ingest", json=event | fields)
    assert answer.status_code == 200, answer.text
    event_id: str = answer.json()["eventId"]
    return event_id


def test_an_event_appears_within_two_seconds_without_a_reload(
    browse: Opener, dashboard: Any
) -> None:
    with browse() as page:
        page.goto("/")
        page.evaluate("window.sameDocument = true")
        page.get_by_text("The same as a table").click()
        shown = page.locator("dt:has-text('Calls') + dd")
        calls = int(shown.inner_text().replace(",", ""))
        waits = [_wait_for(page, one_call(dashboard)) for _ in range(3)]
        assert min(waits) < 2.0, waits
        expect(shown).to_have_text(f"{calls + 3:,}")
        assert page.evaluate("window.sameDocument")
        assert page.locator("#spend-twin").get_attribute("open") is not None


def _wait_for(page: Page, event_id: str) -> float:
    start = time.monotonic()
    expect(page.locator(f"#event-{event_id}")).to_be_visible(timeout=15_000)
    return time.monotonic() - start


def test_a_paused_page_stays_as_it_is_until_it_is_resumed(browse: Opener, dashboard: Any) -> None:
    with browse() as page:
        page.goto("/")
        page.get_by_role("button", name="Live").click()
        event_id = one_call(dashboard)
        page.wait_for_timeout(2_500)
        assert page.locator(f"#event-{event_id}").count() == 0
        page.get_by_role("button", name="Paused").click()
        expect(page.locator(f"#event-{event_id}")).to_be_visible(timeout=15_000)


def test_names_that_look_like_code_are_text(browse: Opener, dashboard: Any) -> None:
    hostile = ("<script>alert(1)</script>", "{{7*7}}", "' hx-get='/logout' x='")
    with browse() as page:
        page.goto("/?all=models&all=tags&tagKey=feature")
        for name in hostile:
            expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
        page.get_by_role("link", name=hostile[2], exact=True).first.click()
        expect(page.locator(".chip").first).to_contain_text("hx-get")
        event_id = one_call(dashboard, model=hostile[0], tags={"<b>": '"><img src=x onerror=1>'},
                            errorMessage=hostile[0], metadata={"a": hostile[2]})  # fmt: skip
        page.goto(f"/events/{event_id}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(hostile[0])
        assert page.locator("#content img, #content script").count() == 0


def test_a_row_leads_to_its_filter_and_the_chip_leads_back(browse: Opener) -> None:
    with browse() as page:
        page.goto("/?days=90")
        page.get_by_role("region", name="Models").get_by_role("link", name="gpt-4o-mini").click()
        page.wait_for_url("**model=gpt-4o-mini**")
        assert "days=90" in page.url
        expect(page.locator(".chip")).to_have_count(2)
        expect(page.locator(".lede")).to_contain_text("model is gpt-4o-mini")
        page.locator(".chip", has_text="model").click()
        expect(page.locator(".chip")).to_have_count(1)
        page.go_back()
        expect(page.locator(".chip")).to_have_count(2)


def test_a_model_keeps_its_colour_under_every_filter(browse: Opener) -> None:
    with browse() as page:
        seen = set()
        for address in ("/", "/?model=o3-mini", "/?days=7&tag.feature=mail"):
            page.goto(address)
            row = page.get_by_role("region", name="Models").locator("tr", has_text="o3-mini")
            seen.add(row.locator(".dot rect").get_attribute("class"))
        assert len(seen) == 1


def test_a_column_says_what_it_holds_and_leads_to_its_day(browse: Opener) -> None:
    with browse(viewport={"width": 1440, "height": 1000}) as page:
        page.goto("/")
        page.get_by_role("button", name="Live").click()
        column = page.locator(".chart .plot a").nth(-3)
        column.hover()
        tip = page.locator(".tip")
        expect(tip).to_contain_text("gpt-4o-mini")
        named = column.get_attribute("aria-label") or ""
        assert tip.locator("b").inner_text().split("\n")[0].startswith(named.split(":")[0])
        column.click()
        page.wait_for_url("**from=*&to=*")
        expect(page.get_by_role("heading", name="Spend by hour")).to_be_visible()


def test_another_period_is_chosen_by_dates(browse: Opener) -> None:
    with browse() as page:
        page.goto("/?model=gpt-4o")
        page.get_by_text("Custom", exact=True).click()
        page.get_by_label("From").fill("2026-01-05")
        page.get_by_label("To, included").fill("2026-01-06")
        page.locator("#custom-period").get_by_role("button", name="Show").click()
        page.wait_for_url("**from=2026-01-05&to=2026-01-06**")
        assert "model=gpt-4o" in page.url
        expect(page.locator(".lede")).to_contain_text("from Jan 5 to Jan 6, 2026")


def test_the_page_can_be_walked_by_keyboard(browse: Opener) -> None:
    with browse() as page:
        page.goto("/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("j")
        first = page.evaluate("document.activeElement.textContent")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.textContent") != first
        page.keyboard.press("k")
        assert page.evaluate("document.activeElement.textContent") == first
        page.get_by_text("Custom", exact=True).click()
        page.keyboard.press("Escape")
        assert page.locator("#custom-period").get_attribute("open") is None
        page.keyboard.press("g")
        page.keyboard.press("e")
        page.wait_for_url("**/events")
        page.keyboard.press("/")
        expect(page.get_by_label("Model")).to_be_focused()


def test_everything_works_without_script(browse: Opener) -> None:
    with browse(java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_role("link", name="7 d", exact=True).click()
        expect(page.locator(".lede")).to_contain_text("last 7 days")
        page.get_by_label("Tag", exact=True).select_option("team")
        page.locator("form", has=page.get_by_label("Tag", exact=True)).get_by_role("button").click()
        assert "tagKey=team" in page.url
        assert "days=7" in page.url
        page.get_by_role("link", name="Events", exact=True).click()
        page.get_by_label("User").fill("user-1")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).not_to_have_count(0)
        assert page.locator("tbody .name a", has_text="gpt-4o-mini").count() > 0
        page.get_by_role("button", name="Dark theme").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_page_asks_for_a_sign_in_and_goes_on_to_where_one_was_going(
    chromium: Browser, dashboard: Any
) -> None:
    context = chromium.new_context(base_url=dashboard.url)
    page = context.new_page()
    page.goto("/events?status=error")
    assert "/login" in page.url
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/events?status=error")
    context.close()
