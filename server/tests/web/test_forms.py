"""What pages change with forms: only with the page's own token, and as the JSON API would."""

from collections.abc import Callable

import httpx
import pytest

PASSWORD = "correct horse battery staple"
Browser = Callable[[], httpx.Client]


def token_of(client: httpx.Client) -> dict[str, str]:
    return {"csrf_token": client.headers.pop("X-CSRF-Token")}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/workspaces", {"name": "Nobody's"}),
        ("/projects", {"name": "Nobody's", "workspaceId": "x"}),
        ("/keys", {"name": "Nobody's", "scope": "x/"}),
        ("/start", {}),
        ("/prices", {"provider": "openai", "model": "nobodys", "input": "1"}),
        ("/prices/apply", {"for": "good"}),
        ("/keys/some-key/revoke", {}),
    ],
)
def test_a_form_without_the_pages_token_changes_nothing(
    signed_in: Browser, path: str, fields: dict[str, str]
) -> None:
    client = signed_in()
    del client.headers["X-CSRF-Token"]
    assert client.post(path, data=fields).status_code == 403
    for page in ("/projects", "/keys", "/prices"):
        assert "obody" not in client.get(page).text.lower()


def test_a_price_set_on_the_page_prices_what_is_sent_next(signed_in: Browser) -> None:
    client = signed_in()
    token = token_of(client)
    made = client.post("/start", data=token).text
    raw = made.split('id="raw-key">')[1].split("<")[0]
    form = {"provider": "harbour", "model": "pilot*", "input": "2.5", "output": "10", **token}
    assert client.post("/prices", data=form).status_code == 303
    assert "pilot*" in client.get("/prices").text
    call = {"provider": "harbour", "model": "pilot-7b", "inputTokens": 1_000_000, "outputTokens": 0}
    headers = {"Authorization": f"Bearer {raw}"}
    event = client.post("/api/ingest", json=call, headers=headers).json()["eventId"]
    assert "exactly $2.5" in client.get(f"/events/{event}").text


def test_a_price_that_is_wrong_comes_back_with_what_was_written(signed_in: Browser) -> None:
    client = signed_in()
    form = {"provider": "harbour", "model": "a*b", "input": "2.5", **token_of(client)}
    answer = client.post("/prices", data=form)
    assert "can have * only at its beginning or end" in answer.text
    assert 'value="a*b"' in answer.text


def test_a_key_of_another_workspace_than_its_project_is_refused(signed_in: Browser) -> None:
    client = signed_in()
    token = token_of(client)
    client.post("/workspaces", data={"name": "Elsewhere", **token})
    workspaces = client.get("/api/workspaces").json()["workspaces"]
    projects = client.get("/api/projects").json()["projects"]
    other = next(one["id"] for one in workspaces if one["name"] == "Elsewhere")
    project = next(one["id"] for one in projects if one["workspaceId"] != other)
    answer = client.post("/keys", data={"name": "x", "scope": f"{other}/{project}", **token})
    assert answer.status_code == 400


def test_the_settings_page_shows_that_a_secret_is_set_and_never_the_secret(
    signed_in: Browser,
) -> None:
    page = signed_in().get("/settings").text
    assert "DASHBOARD_PASSWORD" in page
    assert "set, not shown" in page
    assert PASSWORD not in page
