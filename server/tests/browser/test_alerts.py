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
    with browse(color_scheme=theme) as page:
        page.goto("/alerts")
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Threshold").fill("0.000001")
        page.get_by_role("button", name="Make the alert").click()
        row = page.get_by_role("row", name=name).first
        expect(row).to_contain_text("over")
        told = page.get_by_role("region", name="What was told")
        for _ in range(20):
            if told.get_by_text(name).count():
                break
            page.wait_for_timeout(500)
            page.reload()
        expect(told.get_by_text(name)).to_be_visible()
        accessible(page)
        row.get_by_text("Change").click()
        accessible(page)
        page.get_by_role("button", name=f"Remove {name}").click()
        expect(page.get_by_role("button", name=f"Remove {name}")).to_have_count(0)
        expect(told.get_by_text(name)).to_be_visible()
