"""What is said once for a block holds for every call that begins in it, wherever that runs."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tokenwatcher as tw
from tokenwatcher.testing import CapturedUsage, captured_usage

ANSWER = {
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def call(usage: CapturedUsage, **facts: Any) -> None:
    usage.client.track(lambda: ANSWER, provider="openai", **facts)


def test_a_block_says_tags_and_identities_of_every_call(captured: CapturedUsage) -> None:
    with tw.tags(feature="chat", user_id="u1", session_id="s1", trace_id="t1"):
        call(captured)
        captured.client.track_manual("openai", "gpt-4o", 1, 1)
        captured.client.track_error("openai", "gpt-4o", "timed out")
    assert len(captured.events) == 3
    for event in captured.events:
        assert event["tags"] == {"feature": "chat"}
        assert (event["userId"], event["sessionId"], event["traceId"]) == ("u1", "s1", "t1")


def test_blocks_nest_and_what_a_call_says_itself_holds(captured: CapturedUsage) -> None:
    with tw.tags(feature="chat", team="a", user_id="u1"):
        with tw.tags(feature="search", team=None, user_id="u2"):
            call(captured, tags={"step": "rank"}, user_id="u3")
            call(captured)
        call(captured)
    call(captured)
    inner, middle, outer, none = captured.events
    assert (inner["tags"], inner["userId"]) == ({"feature": "search", "step": "rank"}, "u3")
    assert (middle["tags"], middle["userId"]) == ({"feature": "search"}, "u2")
    assert (outer["tags"], outer["userId"]) == ({"feature": "chat", "team": "a"}, "u1")
    assert "tags" not in none
    assert "userId" not in none


def test_a_stream_keeps_the_tags_it_began_with(captured: CapturedUsage) -> None:
    def pieces() -> Iterator[Any]:
        yield {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": [{"delta": {}}]}
        yield {"object": "chat.completion.chunk", "choices": [], "usage": ANSWER["usage"]}

    with tw.tags(feature="stream"):
        stream = captured.client.track_stream(pieces, provider="openai")
    assert len(list(stream)) == 2
    assert captured.event["tags"] == {"feature": "stream"}


def test_asyncio_tasks_have_tags_of_their_own(captured: CapturedUsage) -> None:
    async def one(number: int) -> None:
        with tw.tags(task=number):
            await asyncio.sleep(0)
            call(captured)

    async def work() -> None:
        with tw.tags(feature="batch"):
            await asyncio.gather(*[one(number) for number in range(20)])

    asyncio.run(work())
    assert [event["tags"] for event in captured.events] == [
        {"feature": "batch", "task": number} for number in range(20)
    ]


def test_a_thread_takes_the_tags_along_by_the_helper(captured: CapturedUsage) -> None:
    with tw.tags(feature="threads"), ThreadPoolExecutor(4) as pool:
        work = tw.propagate(lambda number: call(captured, tags={"n": number}))
        list(pool.map(work, range(8)))
        pool.submit(call, captured).result()
    tagged = [event["tags"] for event in captured.events if "tags" in event]
    assert sorted(tags["n"] for tags in tagged) == list(range(8))
    assert {tags["feature"] for tags in tagged} == {"threads"}
    assert len(captured.events) == 9


def test_a_generator_that_another_task_closes_harms_nobody(captured: CapturedUsage) -> None:
    async def numbers() -> Any:
        with tw.tags(feature="generator"):
            call(captured)
            yield 1

    async def work() -> None:
        generator = numbers()
        await generator.__anext__()
        await asyncio.create_task(generator.aclose())

    asyncio.run(work())
    assert captured.event["tags"] == {"feature": "generator"}


def test_a_tag_may_be_a_function_and_one_that_fails_is_left_out(captured: CapturedUsage) -> None:
    with tw.tags(now=lambda: "asked", broken=lambda: 1 / 0):
        call(captured)
    assert captured.event["tags"] == {"now": "asked"}


def test_a_decorated_function_has_the_tags(captured: CapturedUsage) -> None:
    @tw.tags(feature="decorated")
    def work() -> None:
        call(captured)

    work()
    work()
    assert [event["tags"] for event in captured.events] == [{"feature": "decorated"}] * 2


def test_decorated_coroutines_and_generators_have_the_tags_and_nobody_else(
    captured: CapturedUsage,
) -> None:
    @tw.tags(feature="coroutine")
    async def ask() -> str:
        await asyncio.sleep(0)
        call(captured)
        return "answer"

    @tw.tags(feature="generator")
    def pieces() -> Iterator[Any]:
        call(captured)
        try:
            sent = yield 1
        except KeyError:
            sent = "caught"
        call(captured, tags={"sent": sent})
        yield 2

    @tw.tags(feature="async generator")
    async def async_pieces() -> Any:
        try:
            yield 1
        finally:
            call(captured)

    async def work() -> None:
        assert await ask() == "answer"
        generator = async_pieces()
        assert await generator.__anext__() == 1
        call(captured)
        await generator.aclose()

    for thrown in (False, True):
        generator: Any = pieces()
        assert next(generator) == 1
        call(captured)
        assert (generator.throw(KeyError()) if thrown else generator.send("sent")) == 2
        assert list(generator) == []
    asyncio.run(work())
    features = [event.get("tags", {}).get("feature") for event in captured.events]
    assert features == [
        *("generator", None, "generator") * 2, "coroutine", None, "async generator",
    ]  # fmt: skip
    said = [event["tags"]["sent"] for event in captured.events if "sent" in event.get("tags", {})]
    assert said == ["sent", "caught"]


def test_one_block_serves_many_tasks_at_once(captured: CapturedUsage) -> None:
    block = tw.tags(feature="shared")

    async def one(number: int) -> None:
        with block, tw.tags(task=number):
            await asyncio.sleep(0.001 * (number % 3))
            call(captured)
        call(captured)

    async def work() -> None:
        await asyncio.gather(*[one(number) for number in range(9)])

    asyncio.run(work())
    tagged = [event["tags"] for event in captured.events if "tags" in event]
    assert sorted(tags["task"] for tags in tagged) == list(range(9))
    assert {tags["feature"] for tags in tagged} == {"shared"}
    assert len(captured.events) == 18


def test_user_ids_leave_as_the_same_hash_for_the_same_key_and_never_as_they_are() -> None:
    seen = []
    for key in ("k1", "k1", "k2"):
        with captured_usage(hash_user_ids=True, user_id_key=key) as usage:
            call(usage, user_id="ann@example.com", end_user_id="bob")
            seen.append((usage.event["userId"], usage.event["endUserId"]))
    assert seen[0] == seen[1] != seen[2]
    assert all(each.startswith("hmac_") and len(each) == 37 for pair in seen for each in pair)
    assert "ann" not in str(seen)
