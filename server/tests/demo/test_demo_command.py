"""`tokenwatcher demo`, as a newcomer runs it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

LINK = re.compile(r"  (http://127\.0\.0\.1:\d+)(/sign-in/\S+)")


class Demo:
    """A running demonstration and what it has said so far."""

    def __init__(self, temporary: Path, *options: str) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tokenwatcher_server", "demo", "--events", "10000", *options],
            env=os.environ | {"TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that what it started can be ended with it
        )
        assert self._process.stdout
        for line in self._process.stdout:
            self.said.append(line.rstrip())
            if found := LINK.match(line):
                self.url, self.path = found.groups()
                return
        raise AssertionError(f"the demonstration did not start: {self.said}")

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    def interrupt(self) -> tuple[int, float]:
        """Press Ctrl-C; gives the exit status and how many seconds it took."""
        asked_at = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=15)
        self.said += output.splitlines()
        return self._process.returncode, time.monotonic() - asked_at

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()


@contextmanager
def demonstration(temporary: Path, *options: str) -> Iterator[Demo]:
    demo = Demo(temporary, *options)
    try:
        yield demo
    finally:
        demo.kill()


def use(demo: Demo, client: httpx.Client) -> httpx.Response:
    return client.post(demo.path, headers={"Origin": demo.url})


def test_demo_from_the_link_to_ctrl_c(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demonstration(tmp_path, "--port", str(port)) as demo:
            assert f"Port {port} is taken; using {urlsplit(demo.url).port}." in demo.text
            assert "Loaded 10,000 events in " in demo.text
            with httpx.Client(base_url=demo.url) as client:
                assert client.get(demo.path).status_code == 200
                assert use(demo, client).status_code == 303
                page = client.get("/")
                assert page.status_code == 200
                assert "claude-sonnet-5" in page.text
                stats = client.get("/api/stats?days=90").json()
                assert stats["overview"]["callCount"] >= 10_000
                assert stats["overview"]["unpricedCount"] > 0
                assert "All of it, this month" in client.get("/alerts").text
            with httpx.Client(base_url=demo.url) as stranger:
                assert use(demo, stranger).status_code == 401
            time.sleep(2)
            status, seconds = demo.interrupt()
    assert status == 0
    assert seconds < 5
    assert "0 lost." in demo.text
    assert demo.said[-1] == "Stopped; everything acknowledged is on disk."
    assert list(tmp_path.iterdir()) == []


def test_a_kept_folder_is_used_again_without_loading(tmp_path: Path) -> None:
    options = ("--port", "0", "--no-traffic", "--data-dir", str(tmp_path / "kept"))
    with demonstration(tmp_path, *options) as demo:
        assert "Loaded 10,000 events" in demo.text
        assert demo.interrupt()[0] == 0
    with demonstration(tmp_path, *options) as demo:
        assert "Using the 10,000 events" in demo.text
        assert "Loaded" not in demo.text
        assert demo.interrupt()[0] == 0
