"""Takes events out for good, from every row there is of them.

A mutation of ClickHouse's changes one part of a table after the other, so that a question could see
half of it. What is to be removed is therefore voided first, by one insert, and then deleted. Of what was a
person's, the hashes of ids and answers stay.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.stores.clickhouse.connection import Connection
from tokenwatcher_server.stores.clickhouse.keys import Name
from tokenwatcher_server.stores.clickhouse.rows import VOID_VERSION
from tokenwatcher_server.stores.clickhouse.values import Values, bindings, listed, named
from tokenwatcher_server.stores.sql import Bindings

_ID_MARK: Final = "SHA256(concat(workspace_id, '\\x1f', id))"
_ANSWER_MARK: Final = "SHA256(toString(answer))"
_WAIT: Final = "settings mutations_sync = 2, allow_nondeterministic_mutations = 1"
"""For every part, on every replica; what it compares with is the same on each, and changes not meanwhile."""


def id_mark(name: Name) -> str:
    workspace_id, event_id = name
    return sha256(f"{workspace_id}\x1f{event_id}".encode()).hexdigest()


def answer_mark(answer: int) -> str:
    return sha256(str(answer).encode()).hexdigest()


def has_erased(connection: Connection) -> bool:
    """Whether a person's events were ever removed."""
    [(marks,)] = connection.rows("select count() from events_erased")
    return bool(marks)


def erased(connection: Connection, marks: Iterable[str]) -> set[str]:
    """Which of these are of events that were removed as a person's."""
    these, values = listed("marks", list(marks), "toFixedString(unhex({text}), 32)")
    rows = connection.rows(
        f"select lower(hex(mark)) from events_erased where mark in {these}", values
    )
    return {mark for (mark,) in rows}


def erase(connection: Connection, cluster: str | None, erasure: Erasure, number: int) -> int:
    """See `EventStore.erase`; gives how many events it removed or changed.

    `number` is a commit's, later than that of everything it is about. What was ended midway is done
    when it is asked for again: nothing that was voided comes back before its rows are deleted.
    """
    if not erasure.workspaces:
        return 0
    table = "events" if cluster is None else f"events_local on cluster '{cluster}'"
    bound = bindings()
    where = _where(erasure, bound)
    values = named(bound.values)
    [(found,)] = connection.rows(f"select count() from events final where {where}", values)
    if erasure.fate == "remove":
        _remove(connection, table, erasure, where, values, number)
    elif found:
        _change(connection, table, erasure, where, bound)
    return int(found)


def _where(erasure: Erasure, values: Bindings) -> str:
    """The condition of the rows; a void one has nothing that could be asked for."""
    where = f"void = 0 and workspace_id in ({values.bind_all(erasure.workspaces)})"
    if erasure.user is None:
        where += f" and occurred_at < {values.bind(erasure.before_us)}"
    else:
        user = values.bind(erasure.user)
        where += f" and (user_id = {user} or end_user_id = {user})"
    if erasure.fate == "forget-prompts":
        where += " and (prompt is not null or completion is not null)"
    return where


def _remove(
    connection: Connection, table: str, erasure: Erasure, where: str, values: Values, number: int
) -> None:
    """Mark, void, delete the rows, and at last the void ones, also of an erasure that was ended.

    1. Marks keep what is sent again from being stored.
    2. The void rows hide all at once.
    3. The rows go; then nothing is left that the void ones would have to hide.
    """
    if erasure.user is not None:
        connection.execute(
            f"insert into events_erased (mark) select {_ID_MARK} from events where {where}"
            f" union all select {_ANSWER_MARK} from events where {where} and answer != 0",
            values,
        )
    connection.execute(
        "insert into events (place, workspace_id, id, version, void, changed)"
        f" select distinct place, workspace_id, id, {VOID_VERSION}, 1, {number}"
        f" from events where {where}",
        values,
    )
    connection.execute(f"alter table {table} delete where {where} {_WAIT}", values)
    connection.execute(
        f"alter table {table} delete where void = 1 and (changed > 0 and changed <= {number}"
        f" or {_ID_MARK} in (select mark from events_erased)) {_WAIT}"
    )


def _change(
    connection: Connection, table: str, erasure: Erasure, where: str, bound: Bindings
) -> None:
    changed = "prompt = null, completion = null"
    if erasure.fate == "unlink":
        user: Any = bound.bind(erasure.user)
        changed += "".join(
            f", {name} = nullIf({name}, {user})" for name in ("user_id", "end_user_id")
        )
    connection.execute(
        f"alter table {table} update {changed} where {where} {_WAIT}", named(bound.values)
    )
