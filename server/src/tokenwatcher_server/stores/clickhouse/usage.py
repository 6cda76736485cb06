"""Answers usage queries: all of them by one statement, which sees one state of the table."""

from collections.abc import Sequence

from tokenwatcher_server.events.query import UsageQuery, UsageRow
from tokenwatcher_server.stores.clickhouse.connection import Connection
from tokenwatcher_server.stores.clickhouse.dialect import HELD, clickhouse_dialect
from tokenwatcher_server.stores.clickhouse.values import Values, named
from tokenwatcher_server.stores.sql import usage_rows, usage_statement


def answer(connection: Connection, queries: Sequence[UsageQuery]) -> list[list[UsageRow]]:
    """Each query's rows come as one list, beside the others' lists."""
    if not queries:
        return []
    lists: list[str] = []
    values: dict[str, object] = {}
    for number, query in enumerate(queries):
        text, given = _statement(query, number)
        lists.append(f"(select groupArray({_row(query)}) as rows from ({text})) as q{number}")
        values |= given
    selected = ", ".join(f"q{number}.rows" for number in range(len(queries)))
    [found] = connection.rows(f"select {selected} from {', '.join(lists)}", values)
    return [usage_rows(query, rows) for query, rows in zip(queries, found, strict=True)]


def _statement(query: UsageQuery, number: int) -> tuple[str, Values]:
    prefix = f"q{number}_"
    statement = usage_statement(query, HELD, clickhouse_dialect(prefix))
    return statement.text, named(statement.values, prefix)


def _row(query: UsageQuery) -> str:
    keys = [f"k{place}" for place in range(len(query.group_by) + bool(query.interval))]
    return f"tuple({', '.join([*keys, *(f'm{place}' for place in range(len(query.measures)))])})"
