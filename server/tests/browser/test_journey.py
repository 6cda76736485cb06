"""From a workspace to a cost and back: everything a person does, in the browser, on a real server."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from playwright.sync_api import Page, expect

Opener = Callable[..., AbstractContextManager[Page]]
CALL = {"provider": "openai", "model": "gpt-4o-mini", "inputTokens": 1200, "outputTokens": 300}


def test_a_key_of_a_new_project_sends_until_it_is_revoked(browse: Opener, dashboard: Any) -> None:
    with browse(viewport={"width": 1280, "height": 900}) as page:
        page.goto("/projects")
        page.get_by_text("New workspace").click()
        page.get_by_label("Name of the workspace").fill("Harbour")
        page.get_by_role("button", name="Make the workspace").click()
        page.get_by_text("New project in Harbour").click()
        page.get_by_label("Name of the project").last.fill("Pilot")
        page.locator("form", has=page.get_by_label("Name of the project").last).get_by_role(
            "button", name="Make the project"
        ).click()
        expect(page.get_by_role("region", name="Harbour")).to_contain_text("Pilot")

        page.goto("/keys")
        page.get_by_label("Name").fill("pilot's key")
        page.locator("select[name=scope]").select_option(label="Harbour / Pilot")
        page.get_by_role("button", name="Make the key").click()
        raw = page.locator("#raw-key").inner_text()
        assert raw.startswith("tw_live_")
        expect(page.locator("#snippet-python")).to_contain_text(raw)

        page.goto("/events")
        page.evaluate("window.sameDocument = true")
        waits = [_lands_after(page, dashboard, raw) for _ in range(3)]
        assert min(waits) < 2.0, waits
        assert page.evaluate("window.sameDocument")

        page.goto("/keys")
        assert raw not in page.content()
        row = page.locator("tr", has_text="pilot's key")
        row.get_by_text("Change", exact=True).click()
        row.get_by_role("button", name="Revoke pilot's key").click()
        expect(page.get_by_text("Revoked and expired keys (")).to_be_visible()
        with dashboard.client(raw) as client:
            assert client.post("/api/ingest", json=CALL).status_code == 401


def _lands_after(page: Page, dashboard: Any, raw: str) -> float:
    with dashboard.client(raw) as client:
        answer = client.post("/api/ingest", json=CALL)
    start = time.monotonic()
    expect(page.locator(f"#event-{answer.json()['eventId']}")).to_be_visible(timeout=15_000)
    return time.monotonic() - start


def test_a_key_made_with_one_click_turns_the_page_green(browse: Opener, dashboard: Any) -> None:
    with browse() as page:
        page.goto("/start")
        page.get_by_role("button", name="Make a key").click()
        raw = page.locator("#raw-key").inner_text()
        expect(page.get_by_text("Waiting for an event")).to_be_visible()
        with dashboard.client(raw) as client:
            assert client.post("/api/ingest", json=CALL).status_code == 200
        expect(page.get_by_text("It works.")).to_be_visible(timeout=15_000)
        page.get_by_role("link", name="To the overview").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_a_question_is_asked_zoomed_narrowed_and_shared(browse: Opener) -> None:
    with browse(viewport={"width": 1280, "height": 900}) as page:
        page.goto("/explore?measures=cost&groupBy=model")
        page.get_by_label("compare with before").check()
        page.wait_for_url("**compare=before**")
        page.get_by_role("link", name="o3-mini").click()
        expect(page.locator(".chip")).to_contain_text("o3-mini")
        page.get_by_text("Filter", exact=True).click()
        page.get_by_label("Only where").select_option("userId")
        page.get_by_label("is", exact=True).fill("user-2")
        page.get_by_role("button", name="Add the filter").click()
        expect(page.locator(".chip")).to_have_count(2)
        page.locator("[data-plot]").focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        page.wait_for_url("**from=**")
        expect(page.get_by_role("heading", name="Cost by hour")).to_be_visible()
        shared, said = page.url, page.locator(".lede").inner_text()
        page.goto(shared)
        assert page.locator(".lede").inner_text() == said
        page.get_by_text("Download", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("link", name="The table, Parquet").click()
        assert download.value.path().read_bytes().startswith(b"PAR1")
