"""What is erased from ClickHouse is gone from every row, and not only from the answers."""

from typing import Any

from server.tests.stores.test_clickhouse_races import LATER, RESPONSE, insert, together
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.store import Repricing, Stored
from tokenwatcher_server.kernel.clickhouse_url import parse_url


def rows(clickhouse: Any, url: str, text: str) -> Any:
    """What there is without `final`: all that the files have."""
    return clickhouse.sql(text, parse_url(url).database)


def test_no_row_of_a_person_is_left_whatever_was_done_with_it(clickhouse: Any, cast: Any) -> None:
    url = clickhouse.new_database()
    hers = [cast.event(user_id="ann", response_id=RESPONSE), cast.event(end_user_id="ann")]
    his = cast.event(user_id="ben")
    twice = cast.event(user_id="ann", response_id=RESPONSE)

    async def work(stores: Any) -> None:
        [store] = stores
        await store.append([[*hers, his]])
        await store.reprice([Repricing(cast.alice, hers[1].event.id, cast.cost(5, 5))])
        insert(url, [twice], LATER)
        await store.append([[twice]])
        assert rows(clickhouse, url, "select count(), sum(void) from events") == [(6, 1)]
        before = (await store.statistics())["commits"]
        erasure = Erasure(workspaces=(cast.alice,), fate="remove", user="ann")
        assert await store.erase([erasure]) == [2]
        assert (await store.statistics())["commits"] > before
        assert await store.append([[*hers, twice]]) == [Stored(frozenset({0, 1, 2}))]

    together(url, work, 1)
    assert rows(clickhouse, url, "select id from events") == [(his.event.id,)]
    assert rows(clickhouse, url, "select count() from events_erased final") == [(4,)]


def test_an_erasure_that_was_ended_midway_is_done_when_it_is_asked_for_again(
    clickhouse: Any, cast: Any
) -> None:
    """It had hidden the events and not deleted them; or deleted them, and not what hid them."""
    url = clickhouse.new_database()
    hers, his = cast.event(user_id="ann"), cast.event(user_id="ben")
    hide = (
        "insert into events (place, workspace_id, id, version, void, changed)"
        " select place, workspace_id, id, 18446744073709551615, 1, 1 from events where user_id = 'ann'"
    )
    remove = "alter table events delete where user_id = 'ann' settings mutations_sync = 2"

    async def work(stores: Any) -> None:
        [store] = stores
        erasure = Erasure(workspaces=(cast.alice,), fate="remove", user="ann")
        await store.append([[hers, his]])
        rows(clickhouse, url, hide)
        await store.erase([erasure])
        assert rows(clickhouse, url, "select id from events") == [(his.event.id,)]
        await store.append([[cast.event(user_id="ann")]])
        rows(clickhouse, url, hide)
        rows(clickhouse, url, remove)
        await store.erase([erasure])
        assert rows(clickhouse, url, "select id from events") == [(his.event.id,)]

    together(url, work, 1)


def test_unlinking_and_forgetting_change_every_row(clickhouse: Any, cast: Any) -> None:
    url = clickhouse.new_database()
    hers = cast.event(user_id="ann", end_user_id="ben", prompt="hello", completion="ann")

    async def work(stores: Any) -> None:
        [store] = stores
        await store.append([[hers]])
        await store.reprice([Repricing(cast.alice, hers.event.id, cast.cost(5, 5))])
        erasure = Erasure(workspaces=(cast.alice,), fate="unlink", user="ann")
        assert await store.erase([erasure]) == [1]

    together(url, work, 1)
    selected = "select distinct user_id, end_user_id, prompt, completion from events"
    assert rows(clickhouse, url, selected) == [(None, "ben", None, None)]
