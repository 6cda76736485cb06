"""A real PgBouncer in transaction mode before a test's database."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import pytest

from server.tests.postgres_server import Postgres, free_port


class PgBouncer:
    """Two connections to the server, whatever clients there are: each transaction has another."""

    def __init__(self, postgres: Postgres, url: str) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            assert not os.environ.get("CI"), "pgbouncer is missing"
            pytest.skip("!! pgbouncer is missing: install Debian's package to run this test")
        database = urlsplit(url).path.removeprefix("/")
        port = free_port()
        # where whoever it runs as may read: it refuses to run as root
        self._folder = tempfile.TemporaryDirectory(prefix="tokenwatcher-pgbouncer-")
        settings = Path(self._folder.name) / "pgbouncer.ini"
        settings.parent.chmod(0o755)
        settings.write_text(
            f"[databases]\n{database} = host=127.0.0.1 port={postgres.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        )
        self.url = f"postgresql://postgres@127.0.0.1:{port}/{database}"
        self._process = subprocess.Popen(
            [program, "-q", str(settings)],
            user=65_534 if os.geteuid() == 0 else None,
            cwd="/",
        )
        self._wait_for(port)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("pgbouncer does not listen")

    def __enter__(self) -> "PgBouncer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()
