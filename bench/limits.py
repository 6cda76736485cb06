"""What the engines can do by themselves with the same work: the upper limits of our figures."""

import sqlite3
import time
from collections import defaultdict
from pathlib import Path

import duckdb

from tokenwatcher_server.stores.embedded.files import StoreFiles

JOURNAL_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = full;
create table segments (sequence integer primary key, rows integer, body blob);
create table ids (
    workspace integer, id blob, digest blob, sequence integer, primary key (workspace, id)
) without rowid;
"""
STEP_ROWS = 8_000
"""Rows that the columns are given in one transaction, as the applier does under load."""


def bare_journal(data_dir: Path, scratch: Path, most_events: int) -> float:
    """Events a second when SQLite alone commits the groups that a server has committed.

    One durable transaction for each group: its ids, and one row with its segment.
    """
    groups = _groups(StoreFiles(data_dir).journal, most_events)
    path = scratch / "bare-journal.db"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(JOURNAL_SCHEMA)
    began = time.perf_counter()
    for sequence, (rows, body, ids) in enumerate(groups):
        connection.execute("begin immediate")
        connection.execute("insert into segments values (?, ?, ?)", (sequence, rows, body))
        connection.executemany("insert into ids values (?, ?, ?, ?)", ids)
        connection.execute("commit")
    seconds = time.perf_counter() - began
    connection.close()
    path.unlink()
    return sum(rows for rows, _, _ in groups) / seconds


def _groups(journal: Path, most_events: int) -> list[tuple[int, bytes, list[tuple[object, ...]]]]:
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    ids: dict[int, list[tuple[object, ...]]] = defaultdict(list)
    segments = connection.execute(
        "select sequence, rows, body from segments where total <= ? order by sequence",
        (most_events,),
    ).fetchall()
    last = segments[-1][0]
    for row in connection.execute("select * from ids where sequence <= ?", (last,)):
        ids[row[3]].append(row)
    connection.close()
    return [(rows, body, ids[sequence]) for sequence, rows, body in segments]


def bare_columns(data_dir: Path, scratch: Path, most_events: int) -> float:
    """Events a second when DuckDB alone appends the rows that a store holds, its file written once.

    As the store does, it writes no log of its own.
    """
    source = StoreFiles(data_dir).columns
    path = scratch / "bare-columns.duckdb"
    path.unlink(missing_ok=True)
    connection = duckdb.connect(config={"threads": "1", "checkpoint_threshold": "1TB"})
    connection.execute(f"attach '{path}' as bare (recovery_mode 'no_wal_writes')")
    connection.execute(f"attach '{source}' as source (read_only)")
    connection.execute(f"create temp table held as select * from source.events limit {most_events}")
    connection.execute("create table bare.events as select * from held limit 0")
    ((rows,),) = connection.execute("select count(*) from held").fetchall()
    began = time.perf_counter()
    for start in range(0, rows, STEP_ROWS):
        connection.execute(
            "insert into bare.events select * from held where rowid >= ? and rowid < ?",
            [start, start + STEP_ROWS],
        ).fetchall()
    connection.execute("checkpoint bare").fetchall()
    seconds = time.perf_counter() - began
    connection.close()
    path.unlink()
    return float(rows / seconds)
