"""A slow disk: answers take longer, none is lost, and what can't wait its turn is told so."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.tests.conftest import Instance

PROGRAM = Path(__file__).with_name("slow_disk.py")
SECONDS = 0.2
STALLED_SECONDS = 6.0
EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1}


class OnASlowDisk(Instance):
    program = (sys.executable, str(PROGRAM), str(SECONDS), "1000000")


class OnAStallingDisk(Instance):
    program = (sys.executable, str(PROGRAM), str(STALLED_SECONDS), "1")


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Instance]:
    running = OnASlowDisk(tmp_path / "data")
    yield running
    assert running.stop() == 0


@pytest.fixture
def stalling(tmp_path: Path) -> Iterator[Instance]:
    running = OnAStallingDisk(tmp_path / "data")
    yield running
    assert running.stop() == 0


async def sent(instance: Instance, path: str, bodies: list[bytes]) -> list[httpx.Response]:
    """The answers to bodies sent all at once, each on a connection of its own."""
    headers = {
        "Authorization": f"Bearer {instance.key()}",
        "Content-Type": "application/json",
    }
    limits = httpx.Limits(max_connections=len(bodies))
    async with httpx.AsyncClient(
        base_url=instance.url, headers=headers, timeout=60, limits=limits
    ) as client:
        return await asyncio.gather(*[client.post(path, content=body) for body in bodies])


def stored(instance: Instance) -> int:
    with instance.client(instance.key("--kind", "read")) as client:
        return int(client.get("/api/stats").json()["overview"]["callCount"])


def test_who_waits_on_a_slow_disk_shares_its_commits(slow: Instance) -> None:
    answers = asyncio.run(sent(slow, "/api/ingest", [json.dumps(EVENT).encode()] * 200))

    assert {answer.status_code for answer in answers} == {200}
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    assert SECONDS < slowest < 200 * SECONDS / 4, "each waited for commits of the others' own"
    assert stored(slow) == 200
    assert slow.cli("store", "verify")["events"] == 200


def test_what_a_stalling_disk_has_no_room_for_is_refused_and_nothing_else(
    stalling: Instance,
) -> None:
    size, count = 1_000, 75
    batch = json.dumps({"events": [EVENT] * size}).encode()
    answers = asyncio.run(sent(stalling, "/api/ingest/batch", [batch] * count))

    outcomes = Counter(answer.status_code for answer in answers)
    assert set(outcomes) == {200, 503}
    for refused in (answer for answer in answers if answer.status_code == 503):
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["code"] == "UNAVAILABLE"
    assert stored(stalling) == outcomes[200] * size
