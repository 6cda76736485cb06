"""An empty instance teaches, and turns into the overview by itself."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

Opener = Callable[..., AbstractContextManager[Page]]
SCREENSHOTS = Path(__file__).parents[3] / "screenshots"


@pytest.mark.parametrize("width", [1440, 390])
def test_the_first_event_turns_the_teaching_page_into_the_overview(
    browse: Opener,
    accessible: Callable[[Page], None],
    new_instance: Callable[..., Any],
    width: int,
) -> None:
    empty = new_instance(DASHBOARD_PASSWORD="correct horse battery staple")
    key = empty.key()
    with browse(url=empty.url, viewport={"width": width, "height": 900}) as page:
        page.goto("/")
        expect(page.get_by_role("heading", name="Send the first event")).to_be_visible()
        expect(page.locator("#snippet-curl")).to_contain_text(f"curl {empty.url}/api/ingest")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"first-run-{width}.png", full_page=True)
        accessible(page)
        with empty.client(key) as client:
            event = {"provider": "openai", "model": "gpt-4o-mini", "inputTokens": 12,
                     "outputTokens": 3}  # fmt: skip
            assert client.post("/api/ingest", json=event).status_code == 200
        expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=15_000)
