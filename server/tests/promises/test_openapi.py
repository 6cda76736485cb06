"""Whatever the OpenAPI description allows, and much that it doesn't, is answered without a 5xx."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
PASSWORD = "correct horse battery staple"
EXAMPLES = 8
"""Made up for each operation, beside all that the description's own limits suggest."""


def owner(running: Any) -> list[str]:
    with running.client() as browser:
        given = {"username": "admin", "password": PASSWORD}
        assert browser.post("/api/auth/login", json=given).status_code == 200
        token = browser.get("/api/auth/csrf").json()["csrfToken"]
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    # what ends sessions is left to the others: the session is needed to the end
    leave = ["--exclude-path-regex", "^/api/auth/"]
    return ["-H", f"Cookie: {cookies}", "-H", f"X-CSRF-Token: {token}", *leave]


def writer(running: Any) -> list[str]:
    key = ["-H", f"Authorization: Bearer {running.key()}"]
    return [*key, "--include-path-regex", "^/api/(ingest|stats)"]


def stranger(_: Any) -> list[str]:
    return ["--include-path-regex", "^/(api/auth|api/invitations|healthz|readyz|metrics)"]


@pytest.mark.slow
@pytest.mark.parametrize("who", [owner, writer, stranger])
def test_no_request_that_fits_the_description_or_misses_it_fails_here(
    new_instance: Callable[..., Any], tmp_path: Path, who: Callable[[Any], list[str]]
) -> None:
    described = new_instance(DASHBOARD_PASSWORD=PASSWORD, INGEST_RATE_LIMIT_ENABLED="false")
    options = ["--seed", "20261124", "--max-examples", str(EXAMPLES), "--no-color",
               "--checks", "not_a_server_error", "--phases", "coverage,fuzzing",
               "--generation-database", "none"]  # fmt: skip
    done = subprocess.run(
        [str(SCHEMATHESIS), "run", f"{described.url}/openapi.json", *options, *who(described)],
        cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "Operations:" in done.stdout
    assert "a request failed" not in described.log
    with described.client() as client:
        assert client.get("/readyz").status_code == 200
