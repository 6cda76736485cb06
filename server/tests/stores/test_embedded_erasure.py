"""The embedded store's erasure: the files hold nothing of it, the chain holds, copies are right."""

import asyncio
import random
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import (
    EventStore,
    Repricing,
    Stored,
    StoreRefused,
    StoreUnavailable,
)
from tokenwatcher_server.stores import open_history, rebuild_store
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.response_index import RUN_ROWS
from tokenwatcher_server.stores.identity import fingerprint, pack_id

HOUR = 3_600_000_000


async def erased(store: EventStore, *erasures: Erasure) -> int:
    """Erase, and say how many events that touched."""
    return sum(await store.erase(erasures))


def token(seed: Any) -> str:
    """A text that nothing can make shorter, so that it lies somewhere as it is."""
    return random.Random(str(seed)).randbytes(24).hex()


def events_of(cast: Any, user: str, count: int, **changes: Any) -> list[PricedEvent]:
    return [
        cast.event(
            user_id=user, prompt=token((user, number, "prompt")), metadata={"note": token(user)},
            session_id=token((user, number, "session")), tags={token((user, "tag")): user},
            response_id=f"answer-{token((user, number))}", **changes,
        )
        for number in range(count)
    ]  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def traces(events: list[PricedEvent], bodies: list[bytes]) -> list[bytes]:
    """Bytes by which events would be known: their words, ids, digests, and packed segments."""
    found = [body[at : at + 24] for body in bodies for at in range(32, len(body) - 32, 48)]
    for priced in events:
        event = priced.event
        words = [event.user_id, event.prompt, event.session_id, event.response_id, *event.tags]
        found += [word.encode() for word in words if word]
        found += [event.id.encode(), pack_id(event.id), event.content_digest]
        answer = fingerprint(1, event)
        assert answer is not None
        found.append(int.from_bytes(answer[:8], "big").to_bytes(8, "little"))
    return found


def held(folder: Path, wanted: list[bytes]) -> dict[str, int]:
    """How many of these each file holds."""
    found = {name: sum(each in data for each in wanted) for name, data in files(folder).items()}
    return {name: count for name, count in found.items() if count}


def bodies(folder: Path) -> list[bytes]:
    with closing(JournalReader(folder / "journal.db")) as reader:
        return [link.body for link in reader.links(0)]


ERASURES = {
    "a person": Erasure(workspaces=(), fate="remove", user="ann"),
    "a person, unlinked": Erasure(workspaces=(), fate="unlink", user="ann"),
    "what is old": Erasure(workspaces=(), fate="remove", before_us=HOUR),
}


@pytest.mark.parametrize("kind", ERASURES)
def test_no_byte_of_what_was_erased_is_in_any_file(embedded: Any, cast: Any, kind: str) -> None:
    erasure = ERASURES[kind]
    erasure = Erasure(
        workspaces=(cast.alice,), fate=erasure.fate, user=erasure.user, before_us=erasure.before_us
    )
    hers = events_of(cast, "ann-" * 9 if erasure.user is None else "ann", 40, occurred_at=1)
    his = events_of(cast, "ben", 40)
    changes = [Repricing(cast.alice, each.event.id, cast.cost(3, 4)) for each in hers + his]

    async def fill(store: EventStore) -> Any:
        for each in hers[:20]:
            await store.append([[each]])
        await store.append([[*hers[20:], *his]])
        await store.reprice(changes)
        await store.usage([cast.query("calls")])

    embedded.run(fill)
    wanted = traces(hers, bodies(embedded.data_dir)[:20])
    if erasure.fate == "unlink":  # the events themselves stay
        words = [each.event.prompt for each in hers]
        wanted = [word.encode() for word in words if word]
    else:
        before = held(embedded.data_dir, wanted)
        assert {"journal.db", "events.responses/000000000001-000000000022.run"} <= before.keys()

    async def erase(store: EventStore) -> Any:
        assert await erased(store, erasure) == 40
        return held(embedded.data_dir, wanted)

    assert embedded.run(erase) == {}
    assert held(embedded.data_dir, wanted) == {}
    assert (embedded.data_dir / "journal.db-wal").exists() is False
    assert embedded.run(lambda store: store.verify()).sound


def test_a_rebuild_makes_what_is_left(embedded: Any, cast: Any) -> None:
    erasure = Erasure(workspaces=(cast.alice,), fate="remove", user="ann")
    query = cast.query("calls", "cost", "input_tokens", group_by=cast.by("user"), interval="day")

    async def erase(store: EventStore) -> Any:
        await erased(store, erasure)
        return await store.usage([query])

    both = [events_of(cast, "ann", 30), events_of(cast, "ann", 3) + events_of(cast, "ben", 5)]
    left = embedded.after(both, erase)
    heard: list[tuple[int, int]] = []
    rebuilt = rebuild_store(embedded.data_dir, lambda done, total: heard.append((done, total)))
    assert rebuilt == 5
    assert heard[-1] == (5, 5)
    assert all(done <= total for done, total in heard)
    assert embedded.run(lambda store: store.usage([query])) == left
    assert embedded.run(lambda store: store.verify()).sound


def test_the_history_has_what_is_left_with_its_prices(embedded: Any, cast: Any) -> None:
    hers, his = events_of(cast, "ann", 3), events_of(cast, "ben", 3)
    changes = [Repricing(cast.alice, each.event.id, cast.cost(3, 4)) for each in hers + his]

    async def erase(store: EventStore) -> Any:
        await store.reprice(changes)
        with closing(open_history(None, embedded.data_dir)) as history:
            await erased(store, Erasure(workspaces=(cast.alice,), fate="remove", user="ann"))
            return [each for commit in history.commits() for each in commit]

    assert embedded.after([hers[:2], hers[2:] + his], erase) == his
    with closing(open_history(None, embedded.data_dir)) as history:
        assert history.events == 3
        assert [each for commit in history.commits() for each in commit] == his
        assert [each for commit in history.repricings() for each in commit] == changes[3:]


def test_an_erasure_while_the_history_is_walked_does_not_end_the_walk(
    embedded: Any, cast: Any
) -> None:
    hers, his = events_of(cast, "ann", 40), events_of(cast, "ben", 40)

    async def erase_midway(store: EventStore) -> Any:
        for one, other in zip(hers, his, strict=True):
            await store.append([[one, other]])
        seen: list[PricedEvent] = []
        with closing(open_history(None, embedded.data_dir)) as history:
            for number, commit in enumerate(history.commits()):
                seen += commit
                if number == 10:
                    erasure = Erasure(workspaces=(cast.alice,), fate="remove", user="ann")
                    await erased(store, erasure)
        return seen

    seen = embedded.run(erase_midway)
    assert [each for each in seen if each.event.user_id == "ben"] == his
    assert [each for each in seen if each.event.user_id == "ann"] == hers[:11]


def test_a_store_that_is_closed_while_it_erases_goes_on_when_it_is_opened(
    embedded: Any, cast: Any
) -> None:
    both = events_of(cast, "ann", 1_000) + events_of(cast, "ben", 5)

    async def close_midway() -> None:
        store = await embedded.open()
        for start in range(0, len(both), 5):
            await store.append([both[start : start + 5]])
        erasing = asyncio.create_task(
            store.erase([Erasure(workspaces=(cast.alice,), fate="remove", user="ann")])
        )
        left = len(both)
        while left == len(both):
            await asyncio.sleep(0)
            left = (await store.statistics())["events"]
        await store.close()
        with suppress(StoreUnavailable):  # where it was not quick enough
            await erasing

    asyncio.run(close_midway())
    found = embedded.run(lambda store: store.events(cast.list(limit=100)))
    assert {each.priced.event.user_id for each in found} == {"ben"}
    assert held(embedded.data_dir, traces(both[:100], [])) == {}
    assert embedded.run(lambda store: store.verify()).events == 5


def damage(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as journal:
        journal.execute(statement, values)
        journal.commit()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("update segments set body = zeroblob(9) where sequence = 1", "not those that an erasure"),
        ("update segments set body = zeroblob(9) where kind = 3", "not those that were ack"),
        ("delete from segments where sequence = 4", "3, is missing|4, is missing"),
        ("delete from segments where kind = 3", "is missing|not those that were ack"),
    ],
)
def test_what_an_erasure_left_is_checked_like_all_else(
    embedded: Any, cast: Any, statement: str, fault: str
) -> None:
    hers, his = events_of(cast, "ann", 3), events_of(cast, "ben", 3)

    async def erase(store: EventStore) -> Any:
        await store.append([hers[1:2]])
        await store.append([hers[2:]])
        await store.append([his[1:2]])
        await store.append([his[2:]])
        await erased(store, Erasure(workspaces=(cast.alice,), fate="remove", user="ann"))
        await store.append([[cast.event()]])

    embedded.after([hers[:1] + his[:1]], erase)
    damage(embedded.data_dir, statement)
    try:
        found = embedded.run(lambda store: store.verify())
    except (StoreRefused, ValueError) as refused:
        known = "not a note|is not as it was acknowledged"
        assert re.search(known, str(refused))  # noqa: PT017 - either is a refusal
        return
    assert not found.sound
    assert re.search(fault, found.faults[0]), found.faults


def test_a_journal_of_before_there_were_erasures_is_brought_to_them(
    embedded: Any, cast: Any
) -> None:
    events = events_of(cast, "ann", 5) + events_of(cast, "ben", 5)
    embedded.run(lambda store: store.append([events]))
    for statement in (
        "drop table erased", "drop table pending", "drop index special_segments",
        "pragma user_version = 1",
    ):  # fmt: skip
        damage(embedded.data_dir, statement)
    with closing(open_history(None, embedded.data_dir)) as history:
        assert [each for commit in history.commits() for each in commit] == events
    erasure = Erasure(workspaces=(cast.alice,), fate="remove", user="ann")
    assert embedded.run(lambda store: erased(store, erasure)) == 5
    assert embedded.run(lambda store: store.verify()).events == 5


def test_what_grew_old_leaves_nothing_behind_however_often_it_is_removed(
    embedded: Any, cast: Any
) -> None:
    """Commits of which nothing is left take no room: what is kept bounds the journal."""

    async def work(store: EventStore) -> Any:
        for day in range(1, 6):
            for number in range(20):
                await store.append([[cast.event(occurred_at=day * HOUR + number)]])
            await erased(
                store, Erasure(workspaces=(cast.alice,), fate="remove", before_us=day * HOUR)
            )
        assert (await store.verify()).sound

    embedded.run(work)
    with closing(sqlite3.connect(embedded.data_dir / "journal.db")) as journal:
        kinds = dict(journal.execute("select kind, count(*) from segments group by kind"))
        assert kinds == {1: 20, 3: 4}
        assert journal.execute("select count(*) from ids").fetchall() == [(20,)]


@pytest.mark.slow
def test_a_store_with_runs_of_fingerprints_erases_from_them(embedded: Any, cast: Any) -> None:
    """More events than the newest part of the response index holds."""
    [pattern] = events_of(cast, "ann", 1)
    many = [
        PricedEvent(_numbered(pattern.event, number), pattern.cost)
        for number in range(RUN_ROWS + 5_000)
    ]

    async def work(store: EventStore) -> Any:
        for start in range(0, len(many), 4_000):
            await store.append([many[start : start + 4_000]])
        erasure = Erasure(workspaces=(cast.alice,), fate="remove", user="user 3")
        count = await erased(store, erasure)
        outcomes = [
            outcome
            for at in range(0, len(many), 4_000)
            for outcome in await store.append([many[at : at + 4_000]])
        ]
        verified = await store.verify()
        assert verified.sound, verified.faults
        return count, [len(each.duplicates) for each in outcomes if isinstance(each, Stored)]

    count, duplicates = embedded.run(work)
    assert count == len(many) // 10
    assert sum(duplicates) == len(many)


def _numbered(event: Any, number: int) -> Any:
    return msgspec.structs.replace(
        event,
        id=f"number-{number:09}",
        user_id=f"user {number % 10}",
        response_id=f"an-answer-of-number-{number:09}",
        content_digest=number.to_bytes(16, "big"),
    )
