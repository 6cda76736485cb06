"""Ingest is limited by key, else by address; shared exactly in Redis, and never held up by it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tokenwatcher_server.access.rate_limits import Limit, RateLimits
from tokenwatcher_server.kernel.clock import FrozenClock, SystemClock
from tokenwatcher_server.settings import SettingsError, load

EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 1}


@pytest.fixture
def limited(new_instance: Callable[..., Any]) -> Any:
    """A server that takes five requests of a key in an hour."""
    return new_instance(
        INGEST_RATE_LIMIT_MAX_REQUESTS="5", INGEST_RATE_LIMIT_WINDOW_SECONDS="3600",
        TRUSTED_PROXIES="127.0.0.1",
    )  # fmt: skip


def test_of_six_requests_where_five_are_allowed_the_last_is_told_when_to_come_again(
    limited: Any,
) -> None:
    with limited.client(limited.key()) as app, limited.client(limited.key()) as other:
        answers = [app.post("/api/ingest", json=EVENT) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        left = [answer.headers["ratelimit-remaining"] for answer in answers]
        assert left == ["4", "3", "2", "1", "0", "0"]
        refused = answers[-1]
        assert refused.headers.get_list("ratelimit-limit") == ["5"]
        assert 3000 < int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
        assert refused.json()["code"] == "RATE_LIMITED"
        batch = app.post("/api/ingest/batch", json={"events": [EVENT]})
        assert batch.status_code == 429
        assert other.post("/api/ingest", json=EVENT).status_code == 200
        metrics = other.get("/metrics", headers={"Authorization": ""}).text
    assert 'tokenwatcher_events_total{outcome="stored"} 6.0' in metrics
    assert 'tokenwatcher_requests_refused_total{code="RATE_LIMITED"} 2.0' in metrics


def test_a_batch_counts_as_one_request(limited: Any) -> None:
    with limited.client(limited.key()) as app:
        answer = app.post("/api/ingest/batch", json={"events": [EVENT] * 100})
    assert (answer.status_code, answer.headers["ratelimit-remaining"]) == (200, "4")


def test_what_is_refused_counts_too(limited: Any) -> None:
    with limited.client(limited.key()) as app:
        statuses = [app.post("/api/ingest", content=b"{").status_code for _ in range(6)]
    assert statuses == [415] * 5 + [429]


def test_an_address_without_a_valid_key_is_limited_apart_from_others(limited: Any) -> None:
    key = limited.key()
    with limited.client("tw_live_wrong") as wrong, limited.client(key) as app:
        there, here = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
        statuses = [
            wrong.post("/api/ingest", json=EVENT, headers=there).status_code for _ in range(6)
        ]
        assert statuses == [401] * 5 + [429]
        forged = {"X-Forwarded-For": "203.0.113.7, 198.51.100.1"}
        assert wrong.post("/api/ingest", json=EVENT, headers=forged).status_code == 429
        assert wrong.post("/api/ingest", json=EVENT, headers=here).status_code == 401
        assert app.post("/api/ingest", json=EVENT, headers=there).status_code == 200


def test_who_guesses_keys_is_slowed_down_wherever_they_try(limited: Any) -> None:
    reader = limited.key("--kind", "read")
    with limited.client("tw_live_wrong") as wrong, limited.client(reader) as right:
        statuses = [wrong.get("/api/stats").status_code for _ in range(4)]
        statuses += [
            wrong.post("/api/ingest", json=EVENT).status_code,
            wrong.get("/api/events").status_code,
        ]
        assert statuses == [401] * 5 + [429]
        assert right.get("/api/stats").status_code == 200


def test_a_neighbour_in_the_same_ipv6_network_is_the_same_sender(limited: Any) -> None:
    with limited.client() as app:
        statuses = [
            app.post("/api/ingest", json=EVENT, headers={"X-Forwarded-For": f"2001:db8::{n}"})
            for n in range(6)
        ]
    assert [answer.status_code for answer in statuses] == [401] * 5 + [429]


@pytest.mark.embedded
def test_two_servers_share_a_limit_exactly(redis: Any, new_instance: Callable[..., Any]) -> None:
    settings = {"INGEST_RATE_LIMIT_MAX_REQUESTS": "60", "REDIS_URL": redis.url}
    servers = [new_instance(name, **settings) for name in ("one", "two")]
    raw = servers[0].key()
    share_key(servers[0], servers[1])

    def send(number: int) -> int:
        with servers[number % 2].client(raw) as app:
            return int(app.post("/api/ingest", json=EVENT).status_code)

    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(send, range(120)))
    assert statuses.count(200) == 60
    assert statuses.count(429) == 60


def share_key(one: Any, other: Any) -> None:
    """Both get the same control data, as two servers on one database have."""
    other.stop()
    for name in ("control.db", "control.db-wal"):
        if (one.data_dir / name).exists():
            (other.data_dir / name).write_bytes((one.data_dir / name).read_bytes())
    other.start()


def test_while_redis_is_away_each_server_counts_alone_and_nothing_is_lost(
    redis: Any, new_instance: Callable[..., Any]
) -> None:
    running = new_instance(INGEST_RATE_LIMIT_MAX_REQUESTS="5", REDIS_URL=redis.url)
    redis.stop()
    with running.client(running.key()) as app:
        statuses = [app.post("/api/ingest", json=EVENT).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert running.log.count("Redis does not answer") == 1
    assert redis.url not in running.log


def test_a_frozen_redis_delays_a_few_requests_by_a_moment_and_is_used_again_once_it_answers(
    redis: Any,
) -> None:
    async def scenario() -> None:
        clock = FrozenClock(SystemClock().now_us())
        limits, limit = RateLimits(clock, redis.url), Limit(3, 3600)
        await limits.open()
        assert (await limits.count("a", limit)).left == 2
        redis.freeze()
        began = time.perf_counter()
        alone = await asyncio.gather(*(limits.count("a", limit) for _ in range(50)))
        assert time.perf_counter() - began < 1.0
        assert sum(not standing.exceeded for standing in alone) == 3
        redis.thaw()
        await asyncio.sleep(0.1)  # what it was asked before it was frozen is counted now
        clock.advance(seconds=6)
        assert (await limits.count("b", limit)).left == 2
        await limits.close()

    asyncio.run(scenario())


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_window() -> None:
    async def scenario() -> None:
        clock = FrozenClock(SystemClock().now_us())
        limits = RateLimits(clock)
        clock.advance(seconds=-3600)
        assert (await limits.count("a", Limit(1, 60))).resets_in == 60
        clock.advance(seconds=7200)
        assert (await limits.count("a", Limit(1, 60))).resets_in == 1

    asyncio.run(scenario())


def test_a_window_ends() -> None:
    async def scenario() -> None:
        limits, limit = RateLimits(SystemClock()), Limit(1, 1)
        assert not (await limits.count("a", limit)).exceeded
        assert (await limits.count("a", limit)).exceeded
        await asyncio.sleep(1.05)
        assert not (await limits.count("a", limit)).exceeded

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("INGEST_RATE_LIMIT_ENABLED", "maybe"),
        ("INGEST_RATE_LIMIT_WINDOW_SECONDS", "0"),
        ("INGEST_RATE_LIMIT_WINDOW_SECONDS", "1.5"),
        ("INGEST_RATE_LIMIT_MAX_REQUESTS", "-1"),
        ("INGEST_RATE_LIMIT_MAX_REQUESTS", "many"),
    ],
)
def test_a_limit_that_is_none_stops_the_start(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({variable: value})
    assert refused.value.variable == variable


def test_questions_have_a_limit_of_their_own(new_instance: Callable[..., Any]) -> None:
    server = new_instance(QUERY_RATE_LIMIT_MAX_REQUESTS="3")
    with server.client(server.key("--kind", "read")) as reader:
        asked = ["/api/stats", "/api/query?measures=cost", "/api/events", "/api/stats"]
        answers = [reader.get(path) for path in asked]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    told = answers[-1].headers
    assert 1 <= int(told["retry-after"]) <= 60
    assert (told["ratelimit-limit"], told["ratelimit-remaining"]) == ("3", "0")
    assert told["ratelimit-reset"] == told["retry-after"]
    with server.client(server.key("--kind", "read")) as other, server.client(server.key()) as app:
        assert other.get("/api/stats").status_code == 200
        assert app.post("/api/ingest", json=EVENT).status_code == 200


def test_a_question_that_takes_too_long_is_ended_and_says_so(
    new_instance: Callable[..., Any],
) -> None:
    server = new_instance(QUERY_TIMEOUT_MS="1")
    events = [{**EVENT, "userId": f"user-{number}"} for number in range(1_000)]
    question = (
        "/api/query?measures=cost,latencyP95&groupBy=userId,model,sessionId&interval=hour&days=2"
    )
    with server.client(server.key()) as app, server.client(server.key("--kind", "read")) as reader:
        assert app.post("/api/ingest/batch", json={"events": events}).status_code == 200
        answers = [reader.get(question) for _ in range(20)]
        late = [answer.json() for answer in answers if answer.status_code == 503]
        assert late, answers[0].text[:300]
        assert {problem["code"] for problem in late} == {"QUERY_TIMEOUT"}
        assert app.post("/api/ingest", json=EVENT).status_code == 200
        assert reader.get("/readyz").status_code == 200


def test_a_refusal_for_too_many_reads_no_body(limited: Any) -> None:
    with limited.client(limited.key()) as app:
        for _ in range(5):
            app.post("/api/ingest", json=EVENT)

        def never_ending() -> Iterator[bytes]:
            yield b"{"
            while True:
                time.sleep(0.05)
                yield b" "

        began = time.monotonic()
        with suppress(httpx.WriteError):
            answer = app.post("/api/ingest", content=never_ending())
            assert answer.status_code == 429
        assert time.monotonic() - began < 5


def test_the_limit_can_be_turned_off(new_instance: Callable[..., Any]) -> None:
    running = new_instance(INGEST_RATE_LIMIT_ENABLED="no", INGEST_RATE_LIMIT_MAX_REQUESTS="1")
    with running.client(running.key()) as app:
        answers = [app.post("/api/ingest", json=EVENT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "ratelimit-limit" not in answers[0].headers
