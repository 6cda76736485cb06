"""A budget made on the page is seen to speak up there."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, expect

Opener = Callable[..., AbstractContextManager[Page]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_budget_is_made_tells_and_is_removed(
    browse: Opener, accessible: Callable[[Page], None], theme: str
) -> None:
    name = f"Tiny budget, {theme}"
    with browse(color_scheme=theme, refused=True) as page:
        page.goto("/alerts")
        page.get_by_role("link", name="New alert").click()
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Threshold").fill("0")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("alert")).to_contain_text("threshold must be more than zero")
        page.get_by_label("Threshold").fill("0.000001")
        page.get_by_role("button", name="Preview").click()
        shown = page.get_by_role("region", name="The last 90 days")
        expect(shown).to_contain_text("It would have spoken up")
        assert shown.locator("tbody tr").count() >= 1
        accessible(page)
        expect(page.get_by_label("Name", exact=True)).to_have_value(name)
        page.get_by_role("button", name="Make the alert").click()
        row = page.get_by_role("row", name=name).first
        expect(row).to_contain_text("over")
        told = page.get_by_role("region", name="What was told")
        for _ in range(20):
            if told.get_by_text(name).count():
                break
            page.wait_for_timeout(500)
            page.reload()
        expect(told.get_by_text(name).first).to_be_visible()
        accessible(page)
        row.get_by_role("link", name=name).click()
        page.get_by_label("Threshold").fill("1000000")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("region", name="The last 90 days")).to_contain_text("not have")
        accessible(page)
        page.get_by_role("button", name="Save").click()
        row = page.get_by_role("row", name=name).first
        expect(row).to_contain_text("$1,000,000.00")
        row.get_by_text("Change").click()
        accessible(page)
        page.get_by_role("button", name=f"Remove {name}").click()
        expect(page.get_by_role("button", name=f"Remove {name}")).to_have_count(0)
        expect(told.get_by_text(name).first).to_be_visible()


def test_a_channel_that_is_refused_is_told_why_beside_its_form(browse: Opener) -> None:
    with browse(refused=True) as page:
        page.goto("/alerts")
        page.get_by_label("Name of the channel").fill("our own machine")
        page.get_by_label("Kind").select_option("teams")
        page.get_by_label("URL, address or key").fill("https://127.0.0.1/hook")
        page.get_by_role("button", name="Add the channel").click()
        expect(page.get_by_role("alert")).to_contain_text("url")
        expect(page.get_by_label("Name of the channel")).to_have_value("our own machine")
        expect(page.get_by_label("Kind")).to_have_value("teams")
        expect(page.get_by_label("URL, address or key")).to_have_value("")
