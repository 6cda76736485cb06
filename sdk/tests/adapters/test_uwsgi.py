"""uWSGI forks its workers without telling Python: each sends its own events, and nobody else's."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

APP = """
import os
import tokenwatcher as tw

tw.init(api_key="tw_test_key_of_the_app", endpoint={endpoint!r}, flush_interval=0.2)
tw.track_manual("openai", "master", 1000, 1)

def application(environ, start_response):
    tw.track_manual("openai", "worker", int(environ["QUERY_STRING"]), 1)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""
REQUESTS = range(200)


@pytest.fixture(params=[(), ("--max-requests", "20")], ids=" ".join)
def port(request: pytest.FixtureRequest, server: Any, tmp_path: Path) -> Iterator[int]:
    """Where the app answers, with four workers; they end with the fixture."""
    (tmp_path / "web_app.py").write_text(APP.format(endpoint=server.url))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = int(probe.getsockname()[1])
    running = subprocess.Popen(
        [str(Path(sys.executable).with_name("uwsgi")), "--http-socket", f"127.0.0.1:{found}",
         "--module", "web_app", "--master", "--processes", "4", "--enable-threads",
         "--die-on-term", "--disable-logging", *request.param],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield found
    running.terminate()
    running.wait(30)


def ask(port: int, number: int) -> bytes:
    end = time.monotonic() + 30
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", f"/?{number}")
            return connection.getresponse().read()
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)
        finally:
            connection.close()


def test_every_worker_of_uwsgi_sends_its_own_events(server: Any, port: int) -> None:
    with ThreadPoolExecutor(10) as threads:
        workers = set(threads.map(lambda number: ask(port, number), REQUESTS))
    assert len(workers) > 1
    end = time.monotonic() + 30
    while sum(event["model"] == "worker" for event in server.events) < len(REQUESTS):
        assert time.monotonic() < end
        time.sleep(0.05)
    events = server.events
    sent = sorted(event["inputTokens"] for event in events if event["model"] == "worker")
    assert sent == list(REQUESTS)
    assert len({event["id"] for event in events}) == len(events)
    assert any(event["model"] == "master" for event in events)
