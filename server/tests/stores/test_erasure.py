"""What is erased is gone for good, and the rest is as if it had never been; on every store."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.events.store import Conflict, EventStore, Repricing, Stored
from tokenwatcher_server.kernel.ids import new_id

HOUR = 3_600_000_000
DAY = 24 * HOUR
RESPONSE = "chatcmpl-0123456789abcdef"
EVERYTHING = (
    "calls", "cost", "input_tokens", "output_tokens", "cache_read_tokens", "errors", "unpriced",
    "latency_avg", "latency_p50", "latency_p95", "users",
)  # fmt: skip


async def erased(store: EventStore, *erasures: Erasure) -> int:
    """Erase, and say how many events that touched."""
    return sum(await store.erase(erasures))


def of(cast: Any, user: str, fate: Any = "remove", *workspaces: Any) -> Erasure:
    return Erasure(workspaces=workspaces or (cast.alice,), fate=fate, user=user)


def before(cast: Any, instant: int, fate: Any = "remove", *workspaces: Any) -> Erasure:
    return Erasure(workspaces=workspaces or (cast.alice,), fate=fate, before_us=instant)


async def ids(store: EventStore, cast: Any, **changes: Any) -> list[str]:
    return sorted(found.priced.event.id for found in await store.events(cast.list(**changes)))


async def answers(store: EventStore, cast: Any, workspace: Any) -> Any:
    """What every kind of question is answered, from sums by the hour and from events."""
    scope = Scope((workspace,))
    day = {"interval": "day", "group_by": cast.by("project", "model")}
    queries = [
        cast.query(*EVERYTHING, scope=scope),
        cast.query(*EVERYTHING, scope=scope, **day),
        cast.query("calls", "cost", scope=scope, group_by=cast.by("tag:team")),
        cast.query("calls", "cost", scope=scope, group_by=cast.by("user"), interval="hour"),
    ]
    listed = await ids(store, cast, scope=scope)
    return await store.usage(queries), await store.tag_keys(scope), listed


def mixed(cast: Any) -> list[PricedEvent]:
    """Events of Ann, of Ben, of both, and of nobody, over three days."""
    people = [("ann", None), (None, "ann"), ("ben", "ann"), ("ben", None), (None, None)]
    return [
        cast.event(
            user_id=user, end_user_id=end, occurred_at=cast.noon + day * DAY, latency_ms=100 + day,
            tags={"team": f"team {day}", "of": str(user)}, prompt=f"asked by {user}",
            completion="answered", model=f"model-{day}",
            response_id=f"answer-{user}-{end}-{day:09}",
        )
        for day in range(3) for user, end in people
    ]  # fmt: skip


def is_of(priced: PricedEvent, user: str) -> bool:
    return user in (priced.event.user_id, priced.event.end_user_id)


def test_a_persons_events_are_gone_and_the_rest_is_as_if_they_had_never_been(
    opened: Any, cast: Any
) -> None:
    events = mixed(cast)
    left = [each for each in events if not is_of(each, "ann")]
    never = [changed(each, workspace_id=cast.bob) for each in left]

    async def erase(store: EventStore) -> Any:
        assert await erased(store, of(cast, "ann")) == len(events) - len(left) == 9
        gone = next(each for each in events if is_of(each, "ann"))
        assert await store.event(cast.scope, gone.event.id) is None
        return await both(store)

    async def both(store: EventStore) -> Any:
        assert (await store.verify()).sound
        return [await answers(store, cast, workspace) for workspace in (cast.alice, cast.bob)]

    [alices, bobs] = opened.after([events[:7], never, events[7:]], erase)
    assert alices == bobs
    assert opened.run(both) == [alices, bobs]
    assert opened.run(lambda store: store.verify()).events == 2 * len(left)


def test_an_id_matches_whole_and_in_its_workspaces_alone(opened: Any, cast: Any) -> None:
    events = [
        cast.event(user_id="ann"), cast.event(user_id="Ann"), cast.event(user_id="anna"),
        cast.event(user_id="ann", workspace_id=cast.bob),
        cast.event(session_id="ann", tags={"user": "ann"}),
    ]  # fmt: skip

    async def erase(store: EventStore) -> Any:
        assert await erased(store, of(cast, "ann")) == 1
        assert await erased(store, of(cast, "ann")) == 0
        left = await ids(store, cast, scope=Scope((cast.alice, cast.bob)))
        assert await erased(store, of(cast, "ann", "remove", cast.alice, cast.bob)) == 1
        return left

    assert opened.after([events], erase) == sorted(each.event.id for each in events[1:])


def test_what_was_erased_and_is_sent_again_is_a_duplicate_whatever_it_says(
    opened: Any, cast: Any
) -> None:
    hers = [
        cast.event(user_id="ann", response_id=RESPONSE),
        cast.event(id="by-hand-1", user_id="ann"),
    ]
    again = [
        hers[0],
        cast.event(id=hers[1].event.id, user_id="ben"),
        cast.event(user_id="ann", response_id=RESPONSE),
        cast.event(),
    ]

    async def erase(store: EventStore) -> Any:
        await erased(store, of(cast, "ann"))
        return await store.append([again[:1], again])

    expected = [Stored(frozenset({0})), Stored(frozenset({0, 1, 2}))]
    assert opened.after([hers, [cast.event()]], erase) == expected
    everything = Stored(frozenset(range(4)))
    assert opened.run(lambda store: store.append([again])) == [everything]
    elsewhere = [cast.event(id=hers[1].event.id, workspace_id=cast.bob)]
    assert opened.run(lambda store: store.append([elsewhere])) == [Stored()]
    assert opened.run(lambda store: store.verify()).sound


def test_no_workspaces_hold_nothing_to_erase(opened: Any, cast: Any) -> None:
    nowhere = Erasure(workspaces=(), fate="remove", user="ann")
    both = [nowhere, of(cast, "ann", "unlink")]
    assert opened.after([[cast.event(user_id="ann")]], lambda store: store.erase(both)) == [0, 1]
    assert opened.run(lambda store: store.erase([])) == []


def test_a_person_may_come_back_with_new_events(opened: Any, cast: Any) -> None:
    new = cast.event(user_id="ann")

    async def erase(store: EventStore) -> Any:
        await erased(store, of(cast, "ann"))
        assert await store.append([[new]]) == [Stored()]
        return await ids(store, cast)

    assert opened.after([[cast.event(user_id="ann")]], erase) == [new.event.id]


def test_unlinking_leaves_the_events_and_costs_and_no_way_to_the_person(
    opened: Any, cast: Any
) -> None:
    events = mixed(cast)
    unlinked = [
        changed(
            each,
            user_id=None if each.event.user_id == "ann" else each.event.user_id,
            end_user_id=None if each.event.end_user_id == "ann" else each.event.end_user_id,
            prompt=None if is_of(each, "ann") else each.event.prompt,
            completion=None if is_of(each, "ann") else each.event.completion,
        )
        for each in events
    ]

    async def unlink(store: EventStore) -> Any:
        assert await erased(store, of(cast, "ann", "unlink")) == 9
        assert (await store.verify()).sound
        other = changed(events[0], content_digest=b"other content 16")
        assert await store.append([events, [other]]) == [
            Stored(frozenset(range(15))),
            Conflict((0,)),
        ]
        [[row]] = await store.usage([cast.query("calls", "cost")])
        assert row.values == (15, 45_000)
        return [(await store.event(cast.scope, each.event.id)).priced for each in events]  # type: ignore[union-attr]

    assert opened.after([events[:4], events[4:]], unlink) == unlinked


def changed(priced: PricedEvent, **changes: Any) -> PricedEvent:
    return msgspec.structs.replace(priced, event=msgspec.structs.replace(priced.event, **changes))


def test_what_is_old_is_forgotten_and_new_when_it_comes_again(opened: Any, cast: Any) -> None:
    events = mixed(cast)
    limit = cast.noon + DAY

    async def forget(store: EventStore) -> Any:
        assert await erased(store, before(cast, limit)) == 5
        assert await erased(store, before(cast, limit)) == 0
        left = await ids(store, cast)
        assert await store.append([events]) == [Stored(frozenset(range(5, 15)))]
        assert (await store.verify()).sound
        return left

    kept = [each.event.id for each in events if each.event.occurred_at >= limit]
    assert opened.after([events], forget) == sorted(kept)
    assert len(opened.run(lambda store: ids(store, cast))) == 15


def test_old_prompts_are_forgotten_and_nothing_else_changes(opened: Any, cast: Any) -> None:
    events = [*mixed(cast), cast.event(metadata={"prompt": "no prompt"}, occurred_at=1)]
    limit = cast.noon + DAY

    async def forget(store: EventStore) -> Any:
        wanted = before(cast, limit, "forget-prompts")
        assert await erased(store, wanted) == 5
        assert await erased(store, wanted) == 0
        assert (await store.verify()).sound
        return [(await store.event(cast.scope, each.event.id)).priced for each in events]  # type: ignore[union-attr]

    assert opened.after([events], forget) == [
        changed(each, prompt=None, completion=None) if each.event.occurred_at < limit else each
        for each in events
    ]


@pytest.mark.parametrize("fate", ["remove", "unlink"])
def test_a_later_price_stays_with_its_event_or_goes_with_it(
    opened: Any, cast: Any, fate: str
) -> None:
    hers, his = cast.event(user_id="ann"), cast.event(user_id="ben", cost=cast.unpriced())

    async def work(store: EventStore) -> Any:
        await store.reprice(
            [Repricing(cast.alice, each.event.id, cast.cost(50, 50)) for each in (hers, his)]
        )
        await erased(store, of(cast, "ann", fate))
        assert await store.reprice([Repricing(cast.alice, his.event.id, cast.cost(1, 2))]) == 1
        changes = [Repricing(cast.alice, hers.event.id, cast.cost(5, 5))]
        assert await store.reprice(changes) == (fate == "unlink")
        assert (await store.verify()).sound
        [[row]] = await store.usage([cast.query("calls", "cost")])
        return row.values

    assert opened.after([[hers, his]], work) == ((1, 3) if fate == "remove" else (2, 13))
    assert opened.run(lambda store: store.verify()).sound


def test_events_are_taken_in_and_questions_answered_while_something_is_erased(
    opened: Any, cast: Any
) -> None:
    async def work(store: EventStore) -> Any:
        erasing = asyncio.create_task(erased(store, of(cast, "ann")))
        taken = 0
        while not erasing.done():
            new = cast.event(user_id="ben")
            newcomer = cast.event(workspace_id=new_id(), response_id=f"an answer to {taken:09}")
            assert await store.append([[new, newcomer]]) == [Stored()]
            taken += 1
            [[row]] = await store.usage([cast.query("calls")])
            assert row.values[0] in {100 + taken, 200 + taken}
            assert await store.event(cast.scope, new.event.id) is not None
            listed = await store.events(cast.list(limit=500))
            assert sum(not is_of(each.priced, "ann") for each in listed) == 100 + taken
        assert await erasing == 100
        assert (await store.verify()).sound
        [[row]] = await store.usage([cast.query("calls")])
        return int(row.values[0] or 0) - taken

    events = [[cast.event(user_id=user)] for user in ("ann", "ben") * 100]
    assert opened.after(events, work) == 100


def test_an_erasure_of_everybody_and_of_all_time_can_not_even_be_asked_for(cast: Any) -> None:
    asked: list[dict[str, Any]] = [{}, {"user": "ann", "before_us": 1}]
    for wrong in asked:
        with pytest.raises(ValueError, match="never of all"):
            Erasure(workspaces=(cast.alice,), fate="remove", **wrong)
    with pytest.raises(ValueError, match="unlinked"):
        before(cast, 1, "unlink")


PEOPLE = [None, "ann", "ben"]
sent = st.tuples(st.integers(0, 30), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE),
                 st.integers(0, 3), st.booleans())  # fmt: skip
deeds = st.one_of(
    st.lists(sent, min_size=1, max_size=6),
    st.tuples(st.sampled_from(["remove", "unlink"]), st.sampled_from(PEOPLE[1:])),
    st.tuples(st.sampled_from(["remove", "forget-prompts"]), st.integers(1, 4)),
    st.just("open again"),
)


def test_what_is_left_is_what_a_plain_dictionary_has_left(cast: Any, empty: Any) -> None:
    async def scenario(done: list[Any]) -> None:
        opened = empty()
        store = await opened.open()
        model: dict[str, PricedEvent] = {}
        gone: set[str] = set()
        for deed in done:
            if deed == "open again":
                await store.close()
                store = await opened.open()
            elif isinstance(deed, list):
                for number, user, end, hours, asked in deed:
                    event = cast.event(
                        id=f"named-{number:04}", user_id=user, end_user_id=end,
                        occurred_at=cast.noon + hours * HOUR, prompt="why?" if asked else None,
                        content_digest=b"the same content",
                    )  # fmt: skip
                    await store.append([[event]])
                    if event.event.id not in gone:
                        model.setdefault(event.event.id, event)
            else:
                await erased(store, _as_erasure(cast, deed))
                _erase_from(model, gone, cast, deed)
        found = {each.priced.event.id: each.priced for each in await store.events(cast.list())}
        assert found == model
        [[row]] = await store.usage([cast.query("calls", "users", "cost")])
        users = {each.event.user_id for each in model.values()} - {None}
        assert row.values[:2] == (len(model), len(users))
        verified = await store.verify()
        assert verified.sound, verified.faults
        assert verified.events == len(model)
        await store.close()

    # a server's database takes longer to make than a folder
    @settings(max_examples=40 if empty().url is None else 10, deadline=None)
    @given(st.lists(deeds, max_size=10))
    def law(done: list[Any]) -> None:
        asyncio.run(scenario(done))

    law()


def _as_erasure(cast: Any, deed: Any) -> Erasure:
    fate, whose = deed
    if isinstance(whose, str):
        return of(cast, whose, fate)
    return before(cast, cast.noon + whose * HOUR, fate)


def _erase_from(model: dict[str, PricedEvent], gone: set[str], cast: Any, deed: Any) -> None:
    fate, whose = deed
    for name, each in list(model.items()):
        person = isinstance(whose, str)
        if not (
            is_of(each, whose) if person else each.event.occurred_at < cast.noon + whose * HOUR
        ):
            continue
        if fate == "remove":
            del model[name]
            gone |= {name} if person else set()
            continue
        model[name] = changed(each, prompt=None, completion=None)
        if fate == "unlink":
            for field in ("user_id", "end_user_id"):
                if getattr(each.event, field) == whose:
                    model[name] = changed(model[name], **{field: None})
