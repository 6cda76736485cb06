"""A ClickHouse for tests: `clickhouse_front.py` in a process of its own, that can be killed."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from urllib.parse import quote

from clickhouse_connect import get_client

PASSWORD = "p@ss:word/ü"
FRONT = Path(__file__).with_name("clickhouse_front.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ClickHouse:
    """An engine in a folder of its own, which is gone with it. It can be ended and started."""

    def __init__(self, within: Path | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tokenwatcher-clickhouse-", dir=within))
        self._names = count(1)
        self.port = free_port()
        self.start()

    def start(self) -> None:
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(FRONT), str(self._folder / "data"), str(self.port)],
                env={"FRONT_PASSWORD": PASSWORD},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), (self._folder / "log").read_text()

    def stop(self) -> None:
        """End it as an administrator does: what it has begun is finished."""
        assert self._process.communicate()[0] == b""
        assert self._process.returncode == 0, (self._folder / "log").read_text()

    def kill(self) -> None:
        """As the system's out-of-memory killer does."""
        self._process.kill()
        self._process.communicate()

    def freeze(self) -> None:
        """As a machine does that swaps: connections stay, and are made, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{next(self._names)}"
        self.sql(f"create database {name}")
        return self.url(name)

    def url(self, database: str = "default", port: int | None = None) -> str:
        user = f"default:{quote(PASSWORD, safe='')}"
        return f"clickhouse://{user}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, text: str, database: str = "default") -> list[tuple[object, ...]]:
        client = get_client(host="127.0.0.1", port=self.port, password=PASSWORD, database=database)
        try:
            return [tuple(row) for row in client.query(text).result_rows]
        finally:
            client.close()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)
