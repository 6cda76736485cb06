"""A process with ClickHouse's engine that makes a cluster's tables, and erases from them.

Its keeper is one that the engine has for tests, and its replica never becomes active, so nothing
can be written. But every statement is read, checked and begun. It prints, as JSON, the tables and
the codes of the errors that erasing met.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chdb.session import Session

from server.tests.clickhouse_front import CODE, ON_CLUSTER
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.stores.clickhouse.connection import Connection
from tokenwatcher_server.stores.clickhouse.erasing import erase
from tokenwatcher_server.stores.clickhouse.schema import steps, version_table

CONFIG = """<clickhouse>
<zookeeper><implementation>testkeeper</implementation></zookeeper>
<macros><shard>1</shard><replica>one</replica></macros><tcp_port>9000</tcp_port>
<remote_servers><tokens><shard><internal_replication>true</internal_replication>
<replica><host>127.0.0.1</host><port>9000</port></replica></shard></tokens></remote_servers>
</clickhouse>"""
READ_ONLY = 242


class Engine(Connection):
    """The engine without a driver, which goes on after what it refuses."""

    def __init__(self, folder: Path) -> None:
        config = folder / "config.xml"
        config.write_text(CONFIG)
        self._session = Session(f"file:{folder / 'data'}?config-file={config}")
        self.refused: list[int] = []

    def rows(self, text: str, values: Any = None) -> Sequence[tuple[Any, ...]]:
        found = self._session.query(text, "JSONCompact", params=values).bytes()
        return [tuple(row) for row in json.loads(found)["data"]]

    def execute(self, text: str, values: Any = None) -> None:
        try:
            self._session.query(re.sub(ON_CLUSTER.pattern.decode(), "", text), params=values)
        except Exception as error:  # noqa: BLE001 - whatever the engine says is of interest
            self.refused += map(int, CODE.findall(str(error)))


def main() -> None:
    engine = Engine(Path(sys.argv[1]))
    engine.execute("create database made")
    engine.execute("use made")
    engine.execute("set max_execution_time = 5")
    for statement in (
        *version_table("tokens"),
        *(each for step in steps("tokens") for each in step),
    ):
        engine.execute(statement)
    tables = engine.rows(
        "select name, engine from system.tables where database = 'made' order by 1"
    )
    made, engine.refused = engine.refused, []
    wanted = Erasure(workspaces=(WorkspaceId("default"),), fate="remove", user="anna")
    erase(engine, "tokens", wanted, 1)
    sys.stdout.write(
        json.dumps({"tables": dict(tables), "making": made, "erasing": engine.refused})
    )
    sys.stdout.flush()
    os._exit(0)  # a replica that never was active does not end


if __name__ == "__main__":
    main()
