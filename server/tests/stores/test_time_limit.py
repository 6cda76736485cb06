"""What people ask for is ended when it takes too long, and nothing else is."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tokenwatcher_server.events.store import QuestionTooLong
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.time_limit import TimeLimit

ENDLESS = "select sum(a.range * b.range) from range(10000000) a, range(100000) b"


@pytest.fixture
def columns(tmp_path: Path) -> Iterator[Columns]:
    opened = Columns(tmp_path / "c.duckdb", tmp_path / "tmp", threads=1, question_seconds=1)
    with closing(opened):
        yield opened


def test_an_endless_question_is_ended_and_the_next_one_answered(columns: Columns) -> None:
    with pytest.raises(QuestionTooLong), columns.limited_snapshot() as snapshot:
        snapshot.rows(ENDLESS)
    with columns.limited_snapshot() as snapshot:
        assert snapshot.rows("select 1") == [(1,)]


def test_a_late_question_ends_no_other_that_runs_beside_it(columns: Columns) -> None:
    with columns.snapshot() as patient:
        patient.rows("select 1")
        with pytest.raises(QuestionTooLong), columns.limited_snapshot() as snapshot:
            snapshot.rows(ENDLESS)
        assert patient.rows("select count(*) from range(1000)") == [(1000,)]


def test_what_ends_in_time_is_not_stopped() -> None:
    stopped: list[str] = []
    third = threading.Event()

    def stop_third() -> None:
        stopped.append("third")
        third.set()

    with closing(TimeLimit(0.5)) as limit:
        with limit.limited(lambda: stopped.append("first")):
            pass
        with limit.limited(lambda: stopped.append("second")):
            pass
        with limit.limited(stop_third):
            assert third.wait(5)
    assert stopped == ["third"]
