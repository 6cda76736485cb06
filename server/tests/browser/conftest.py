"""A real Chromium on a real server, with a few weeks of known events behind it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from server.tests.conftest import ADDRESSES

AXE = Path(__file__).parent / "vendor" / "axe" / "axe.min.js"
PASSWORD = "correct horse battery staple"
NAMES = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "' hx-get='/logout' x='",
    "=cmd()|'/c calc'!A1",
)
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        message = "no Chromium on this machine: the pages were NOT tested"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def dashboard(instance: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of its own, so that what it shows is known."""
    folder = tmp_path_factory.mktemp("dashboard") / "data"
    running = type(instance)(folder, DASHBOARD_PASSWORD=PASSWORD, TRUSTED_PROXIES="127.0.0.0/8")
    running.write_key = running.key()
    send(running, past_events())
    yield running
    running.stop()


def past_events() -> list[dict[str, Any]]:
    """Four weeks: three priced models, one without a price, failures, hostile names."""
    now = datetime.now(UTC)
    events = []
    for day in range(28):
        at = (now - timedelta(days=day)).isoformat()
        for number, model in enumerate(("gpt-4o", "gpt-4o-mini", "o3-mini")):
            events.append(
                {
                    "provider": "openai",
                    "model": model,
                    "inputTokens": 10_000 + 1_000 * day,
                    "outputTokens": 500 * (number + 1),
                    "cacheReadTokens": 2_000,
                    "latencyMs": 900 + 100 * number,
                    "timeToFirstTokenMs": 200,
                    "userId": f"user-{number}",
                    "tags": {"feature": ("chat", "search", "mail")[number], "team": "core"},
                    "timestamp": at,
                }
            )
    for name in HOSTILE:
        tags = {"feature": name}
        events.append({"provider": name[:50], "model": name, "inputTokens": 10, "outputTokens": 1,
                       "userId": name, "tags": tags})  # fmt: skip
    events.append({"eventType": "error", "provider": "openai", "model": "gpt-4o",
                   "errorType": "rate_limit", "errorMessage": HOSTILE[0]})  # fmt: skip
    return events


def send(running: Any, events: list[dict[str, Any]]) -> None:
    with running.client(running.write_key) as client:
        answer = client.post("/api/ingest/batch", json={"events": events})
        assert answer.status_code == 200, answer.text


Opener = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def browse(chromium: Browser, dashboard: Any) -> Opener:
    """Opens a signed-in page; it fails the test for any console error or policy violation.

    A test that has a form refused says so with `refused`, for browsers note that on the console.
    """
    state: list[Any] = []

    @contextmanager
    def open_page(
        *, url: str = dashboard.url, refused: bool = False, **options: Any
    ) -> Iterator[Page]:
        context = chromium.new_context(base_url=url, **options)
        try:
            if url == dashboard.url and state:
                context.add_cookies(state)
            else:
                sign_in(context)
                state.extend(context.cookies() if url == dashboard.url else [])
            with watched(context, refused=refused) as page:
                yield page
        finally:
            context.close()

    return open_page


@pytest.fixture
def visit(chromium: Browser, dashboard: Any) -> Opener:
    """Opens a page of somebody who is not signed in; as strict as `browse`."""

    @contextmanager
    def open_page(**options: Any) -> Iterator[Page]:
        context = chromium.new_context(base_url=dashboard.url, **options)
        try:
            with watched(context) as page:
                yield page
        finally:
            context.close()

    return open_page


def sign_in(context: BrowserContext) -> None:
    """Each from an address of its own: twenty times a minute from one would be too often."""
    page = context.new_page()
    number = next(ADDRESSES)
    page.set_extra_http_headers({"X-Forwarded-For": f"198.51.{number // 250}.{number % 250}"})
    page.goto("/login")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    page.close()


@contextmanager
def watched(context: BrowserContext, *, refused: bool = False) -> Iterator[Page]:
    """A page whose every complaint is an assertion."""
    complaints: list[str] = []
    context.add_init_script(WATCH)
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    page.on("request", lambda asked: complaints.extend(_foreign(asked.url, page)))
    yield page
    if refused:
        complaints = [one for one in complaints if "status of 400" not in one]
    assert complaints == []
    assert page.evaluate("window.violations ?? []") == []


def _foreign(url: str, page: Page) -> list[str]:
    """No request may leave the server that the page came from."""
    own = page.url.split("/", 3)[2] if page.url.startswith("http") else ""
    return [] if not own or url.split("/", 3)[2] == own else [f"a request to {url}"]


@pytest.fixture(scope="session")
def accessible() -> Callable[[Page], None]:
    """Asserts that axe finds nothing wrong with the page, by the rules of WCAG 2.2 AA."""
    source = AXE.read_text(encoding="utf-8")

    def check(page: Page) -> None:
        page.evaluate(source)
        found = page.evaluate(
            "axe.run({resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
            " 'best-practice']})"
        )
        assert [f"{one['id']}: {node['html'][:160]}" for one in found["violations"]
                for node in one["nodes"][:3]] == []  # fmt: skip

    return check
