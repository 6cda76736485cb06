"""The server takes what the wire contract says it takes, and refuses the rest by name."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokenwatcher_server.ingest.decode import Decoded, decode_batch, decode_event
from tokenwatcher_server.ingest.wire import KNOWN_FIELDS
from tokenwatcher_server.kernel.clock import to_us
from tokenwatcher_server.kernel.errors import AppError, Kind

WIRE = Path(__file__).parents[3] / "wire"
EXAMPLES = sorted((WIRE / "examples").glob("*.json"))
REFUSED = sorted((WIRE / "refused").glob("*.json"))
NOW_US = to_us(datetime(2026, 6, 1, tzinfo=UTC))


def golden(path: Path) -> tuple[bytes, Any]:
    """The body as sent, and the whole file."""
    file = json.loads(path.read_bytes())
    body = file["text"] if "text" in file else json.dumps(file["body"])
    return body.encode(), file


def decoded(body: bytes, file: Any) -> Decoded:
    if "events" in (file.get("body") or {}):
        return decode_batch(body, NOW_US, most_events=1000)
    return decode_event(body, NOW_US)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_golden_event_is_taken(path: Path) -> None:
    body, file = golden(path)
    sent = file["body"].get("events", [file["body"]])
    taken = decoded(body, file)
    assert len(taken.events) == len(sent)
    for event, said in zip(taken.events, sent, strict=True):
        kept = msgspec.to_builtins(event)
        for name, value in said.items():
            if name in KNOWN_FIELDS - {"timestamp"} and value != "":
                assert kept[name] == value, name


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_bad_event_is_refused_by_the_name_of_its_field(path: Path) -> None:
    body, file = golden(path)
    with pytest.raises(AppError) as refusal:
        decoded(body, file)
    assert refusal.value.kind is Kind.INVALID
    paths = [issue.path for issue in refusal.value.issues]
    assert paths == file["issues"]


def test_schema_names_every_field_and_no_other() -> None:
    schema = json.loads((WIRE / "event.schema.json").read_bytes())
    assert set(schema["properties"]) == KNOWN_FIELDS


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
