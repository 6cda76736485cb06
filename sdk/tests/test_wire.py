"""What the SDK sends is what the wire contract says."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenwatcher.event import Event, Facts, to_wire
from tokenwatcher.usage.reading import Failure, Tokens

WIRE = Path(__file__).parents[2] / "wire"
SCHEMA = json.loads((WIRE / "event.schema.json").read_bytes())
EXAMPLES = sorted((WIRE / "examples").glob("*.json"))


KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "null": (type(None),),
}


def broken(value: Any, schema: dict[str, Any], where: str = "") -> list[str]:
    """What is wrong with a value by the keywords that our schema uses; others are an error."""
    kind = schema.get("type", "object")
    if "type" in schema and (
        not isinstance(value, KINDS[kind]) or (kind != "boolean" and isinstance(value, bool))
    ):
        return [f"{where}: type"]
    checks: dict[str, Callable[[Any], bool]] = {
        "type": lambda _: True,
        "enum": lambda values: value in values,
        "minimum": lambda least: value >= least,
        "maximum": lambda most: value <= most,
        "minLength": lambda least: len(value) >= least,
        "maxLength": lambda most: len(value) <= most,
        "pattern": lambda pattern: re.search(pattern, value) is not None,
        "maxProperties": lambda most: len(value) <= most,
        "required": lambda names: set(names) <= value.keys(),
        "propertyNames": lambda inner: not any(broken(name, inner) for name in value),
        "anyOf": lambda options: any(not broken(value, option) for option in options),
        "format": lambda _: value.endswith("Z") or "+" in value,
    }
    known = {*checks, "properties", "additionalProperties", "title", "description", "$schema"}
    assert set(schema) <= known
    found = [
        f"{where}: {word}" for word in checks.keys() & schema if not checks[word](schema[word])
    ]
    for name, inner in value.items() if isinstance(value, dict) else ():
        rule = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if isinstance(rule, dict):
            found += broken(inner, rule, f"{where}.{name}")
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_golden_event_keeps_to_the_schema(path: Path) -> None:
    body = json.loads(path.read_bytes())["body"]
    for event in body.get("events", [body]):
        assert broken(event, SCHEMA) == []


def full_event() -> Event:
    return Event(
        id="01990000-0000-7000-8000-000000000001", at_ns=1_777_636_800_123_456_789,
        facts=Facts(user_id="u", end_user_id="e", session_id="s", request_id="r", trace_id="t",
                    span_id="p", parent_span_id="pp"),
        provider="anthropic", model="claude", tokens=Tokens(*range(11, 0, -1)), quality="final",
        requested_model="c", service_tier="priority", requested_service_tier="auto",
        server_tool_calls={"web_search": 2}, reported_cost_usd="0.01", total_cost_usd=0.5,
        latency_ms=5, time_to_first_token_ms=1, streaming=True, response_id="msg",
        failure=Failure("APIError", "it broke"), tags={"a": 1}, metadata={"b": None},
        project_slug="shop", prompt="p", completion="c",
    )  # fmt: skip


def test_sdk_can_say_all_that_the_wire_has() -> None:
    sent = to_wire(full_event())
    assert set(SCHEMA["properties"]) - sent.keys() == {"projectId"}
    assert sent["timestamp"] == "2026-05-01T12:00:00.123456Z"
    assert broken(sent, SCHEMA) == []


texts = st.text(max_size=400)
counts = st.none() | st.integers(0, 50_000_000)


@settings(max_examples=200, deadline=None)
@given(
    texts, texts, st.lists(counts, min_size=11, max_size=11),
    st.none() | st.integers(-(10**9), 10**9),
    st.dictionaries(texts, texts | st.floats() | st.booleans() | st.none() | st.integers(),
                    max_size=30),
    st.none() | st.builds(Failure, texts, st.none() | texts),
)  # fmt: skip
def test_whatever_an_app_says_keeps_to_the_schema(
    provider: str,
    user: str,
    tokens: list[int | None],
    latency_ms: int | None,
    tags: dict[str, Any],
    failure: Failure | None,
) -> None:
    event = full_event()._replace(
        provider=provider, model=provider, facts=Facts(user_id=user), tokens=Tokens(*tokens),
        latency_ms=latency_ms, tags=tags, failure=failure,
    )  # fmt: skip
    assert broken(to_wire(event), SCHEMA) == []


def test_wire_files_are_those_the_digests_pin() -> None:
    pinned = {}
    for line in (WIRE / "DIGESTS").read_text().splitlines():
        digest, name = line.split("  ")
        pinned[name] = digest
    found = {
        path.relative_to(WIRE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in WIRE.rglob("*.json")
    }
    assert found == pinned
