"""The key decides where an event goes; the event only chooses within that."""

import asyncio

import msgspec
import pytest

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.ingest.decode import Decoded, canonical_form
from tokenwatcher_server.ingest.scope import Policy, Writer, choose_projects, scope
from tokenwatcher_server.ingest.wire import WireEvent
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId

WORKSPACE = WorkspaceId("acme")
PROJECT = ProjectId("chat")
NOW_US = 1_800_000_000_000_000
CLOSED = Policy(store_prompts=False, allow_cost_override=False)


class TwoProjects:
    async def find(self, workspace_id: WorkspaceId, reference: str) -> ProjectId | None:
        known = {"id-1": "id-1", "chat": "id-1", "id-2": "id-2", "default": "id-2"}
        found = known.get(reference) if workspace_id == WORKSPACE else None
        return ProjectId(found) if found else None


def wire(**fields: object) -> WireEvent:
    return msgspec.structs.replace(WireEvent(provider="openai", model="gpt-4o"), **fields)


def choose(writer: Writer, *events: WireEvent) -> list[ProjectId]:
    return asyncio.run(choose_projects(events, writer, TwoProjects(), single=False))


def scoped(event: WireEvent, policy: Policy = CLOSED, occurred_at: int = NOW_US) -> Event:
    decoded = Decoded([event], [Tokens()], [occurred_at], [canonical_form(event)], 0)
    return scope(decoded, [PROJECT], WORKSPACE, policy, NOW_US)[0]


def test_a_project_key_writes_to_its_project_whatever_the_event_says() -> None:
    writer = Writer(WORKSPACE, PROJECT)
    assert choose(writer, wire(project_slug="other"), wire(project_id="id-2")) == [PROJECT] * 2


def test_a_workspace_key_writes_to_the_named_project_or_the_default() -> None:
    writer = Writer(WORKSPACE, None)
    events = [wire(project_slug="chat"), wire(project_id="id-1"), wire()]
    assert choose(writer, *events) == ["id-1", "id-1", "id-2"]
    assert choose(writer, wire(project_id="id-1", project_slug="chat")) == ["id-1"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"project_slug": "foreign"}, "events[1].projectSlug"),
        ({"project_id": "foreign"}, "events[1].projectId"),
        ({"project_id": "id-1", "project_slug": "default"}, "events[1].projectSlug"),
    ],
)
def test_a_project_outside_the_workspace_refuses_the_batch(
    fields: dict[str, str], path: str
) -> None:
    with pytest.raises(AppError) as refused:
        choose(Writer(WORKSPACE, None), wire(), wire(**fields))
    assert [issue.path for issue in refused.value.issues] == [path]


def test_defaults_are_filled_in() -> None:
    event = scoped(wire())
    assert (event.event_type, event.status, event.usage_quality) == ("usage", "success", "final")
    assert event.occurred_at == event.received_at == NOW_US
    assert len(event.id) == 36
    assert scoped(wire(event_type="error", error_type="timeout")).status == "error"


def test_every_field_of_the_wire_keeps_its_name() -> None:
    texts = {
        field.name: f"{field.name} said"
        for field in msgspec.structs.fields(Event)
        if field.name in WireEvent.__struct_fields__ and "str" in str(field.type)
    }
    chosen = {"event_type": "error", "status": "success", "usage_quality": "partial"}
    numbers = {"latency_ms": 7, "time_to_first_token_ms": 5, "streaming": True}
    dicts = {"tags": {"a": "b"}, "metadata": {"c": "d"}, "server_tool_calls": {"web_search": 1}}
    said = texts | {"id": "12345678", "project_id": None} | chosen | numbers | dicts
    event = scoped(wire(**said), Policy(store_prompts=True, allow_cost_override=False), 99)
    assert event.occurred_at == 99
    kept = {name: getattr(event, name) for name in said if name != "project_id"}
    assert kept == {name: value for name, value in said.items() if name != "project_id"}


def test_prompts_are_dropped_unless_the_operator_stores_them() -> None:
    event = wire(id="12345678", prompt="secret", completion="answer")
    assert scoped(event).prompt is None
    assert scoped(event).completion is None
    assert scoped(event).content_digest == scoped(wire(id="12345678")).content_digest
    kept = scoped(event, Policy(store_prompts=True, allow_cost_override=False))
    assert kept.prompt == "secret"


def test_the_clients_own_cost_counts_only_where_allowed() -> None:
    event = wire(total_cost_usd=0.5, reported_cost_usd="0.0000000000015")
    assert scoped(event).stated_cost is None
    assert scoped(event).reported_cost == 2
    allowed = Policy(store_prompts=False, allow_cost_override=True)
    assert scoped(event, allowed).stated_cost == 500_000_000_000


def test_tags_become_text() -> None:
    tags = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None}
    assert scoped(wire(tags=tags)).tags == {"a": "x", "b": "1", "c": "1.5", "d": "true"}


def test_a_retry_has_the_same_digest_and_other_content_another() -> None:
    first = wire(id="12345678", tags={"a": 1, "b": 2})
    again = wire(id="12345678", tags={"b": 2, "a": 1})
    other = wire(id="12345678", tags={"a": 1, "b": 3})
    assert scoped(first).content_digest == scoped(again).content_digest
    assert scoped(first).content_digest != scoped(other).content_digest


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Incorrect API key provided: sk-proj-abcdefghijk1234", "sk-proj"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefgh"),
        ("https://user:hunter22@host/x", "hunter22"),
        ("api_key=0123456789abcdef failed", "0123456789"),
        ("AIzaSyA-1234567890abcdefgh", "SyA-123"),
    ],
)
def test_credentials_in_an_error_are_masked(text: str, masked: str) -> None:
    event = scoped(wire(event_type="error", error_type="x", error_message=text))
    assert event.error_message is not None
    assert masked not in event.error_message
    assert "***" in event.error_message
