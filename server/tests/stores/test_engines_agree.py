"""Whatever was stored and whatever is asked, every engine gives the same answers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.tests.stores.conftest import Opened
from server.tests.stores.test_totals import queries, steps, store_all
from tokenwatcher_server.events.query import UsageRow


def plain(row: UsageRow) -> Any:
    """A row without the last digits of its fractions, which differ by how they were divided."""
    values = [float(f"{each:.12g}") if isinstance(each, float) else each for each in row.values]
    return row.bucket_us, row.group, values


@settings(max_examples=6, deadline=None)
@given(steps, st.data())
def test_every_question_gets_the_answer_that_the_embedded_store_gives(
    cast: Any,
    empty: Any,
    tmp_path_factory: pytest.TempPathFactory,
    said: Any,
    data: st.DataObject,
) -> None:
    asked = data.draw(st.lists(queries(cast), min_size=10, max_size=20))
    folder: Path = tmp_path_factory.mktemp("embedded")

    async def answers(opened: Opened) -> Any:
        store = await opened.open()
        try:
            await store_all(store, cast, said)
            return [[plain(row) for row in rows] for rows in await store.usage(asked)]
        finally:
            await store.close()

    async def both() -> None:
        expected = await answers(Opened(folder / "data", cast.noon))
        assert await answers(empty()) == expected

    asyncio.run(both())
