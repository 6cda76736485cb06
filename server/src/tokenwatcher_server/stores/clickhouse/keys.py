"""What the table knows of ids and answers, and which of several same events counts.

Two servers may store the same event at the same time, as neither sees what the other is just
storing. The first by (sequence, position) counts. Rows of one key meet in the table itself, which
keeps the first; `losers` finds the others, and a void row takes each of them out.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from tokenwatcher_server.stores.clickhouse.connection import Connection
from tokenwatcher_server.stores.clickhouse.schema import KEY_COLUMNS
from tokenwatcher_server.stores.clickhouse.values import listed

Name = tuple[str, str]
"""A workspace and an event's id in it."""

SELECT: Final = f"select {', '.join(KEY_COLUMNS)} from events"


class Key(msgspec.Struct, frozen=True):
    """A row, as far as it says which event it is. The order is that of KEY_COLUMNS."""

    workspace_id: str
    id: str
    place: int
    sequence: int
    position: int
    void: int
    content_digest: bytes
    answer: int

    @property
    def name(self) -> Name:
        return self.workspace_id, self.id


def find(connection: Connection, ids: Sequence[str], answers: Sequence[int]) -> list[Key]:
    """All rows of these ids, and all with one of these answers.

    Rows may come twice: with `distinct` the table would be read from end to end.
    """
    statements: list[str] = []
    values: dict[str, object] = {}
    if ids:
        these, given = listed("ids", ids)
        statements.append(f"{SELECT} where id in {these}")
        values |= given
    if answers:
        these, given = listed("answers", list(map(str, answers)), "toUInt128({text})")
        statements.append(f"{SELECT} where answer in {these}")
        values |= given
    if not statements:
        return []
    rows = connection.rows(" union all ".join(statements), values)
    return list(dict.fromkeys(Key(*row) for row in rows))


def holders(keys: Sequence[Key]) -> list[Key]:
    """The rows that count where nothing races: one of a key, none that is void."""
    void = {(*key.name, key.place) for key in keys if key.void}
    first: dict[tuple[str, str, int], Key] = {}
    for key in sorted(keys, key=_order):
        first.setdefault((*key.name, key.place), key)
    return [key for row, key in first.items() if row not in void]


def losers(keys: Sequence[Key]) -> Iterator[Key]:
    """The rows that count and must not: their id, or their answer, is an earlier row's."""
    names: set[Name] = set()
    answers: set[int] = set()
    for key in holders(keys):
        if key.name in names or key.answer in answers:
            yield key
            continue
        names.add(key.name)
        if key.answer:
            answers.add(key.answer)


def _order(key: Key) -> tuple[object, ...]:
    return key.sequence, key.position, key.place, key.name, key.content_digest, key.answer
