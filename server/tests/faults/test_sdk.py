"""Apps that use the SDK against a real server, while all that can fail does.

Afterwards the store holds what the apps recorded: every event, once, with its tokens.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.tests.faults.conftest import Stored
from server.tests.faults.flaky import Fault, FlakyNetwork
from tokenwatcher import TokenWatcher

FAULTS: list[Fault] = ["cut", "half", "lost", "500", "late 500", "429", "413", "slow"]


def client(instance: Any, endpoint: str | None = None, **settings: Any) -> TokenWatcher:
    options = {"flush_interval": 0.05, "timeout": 5.0, "max_retries": 100, **settings}
    return TokenWatcher(instance.key(), endpoint or instance.url, **options)


def record(watcher: TokenWatcher, model: str, numbers: range) -> None:
    for number in numbers:
        assert watcher.track_manual("openai", model, number, 1)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_a_hundred_threads_on_a_network_that_fails_in_every_way(
    instance: Any, network: FlakyNetwork, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenwatcher.sender._FIRST_PAUSE", 0.01)
    network.faults = [*FAULTS, "none", *reversed(FAULTS)]
    watcher = client(instance, network.url, timeout=0.4, max_batch_size=100)
    in_threads(100, lambda n: record(watcher, "flaky", range(20 * n, 20 * n + 20)))
    assert watcher.shutdown(60)
    assert network.faults == []
    assert stored(instance, "flaky") == (2000, sum(range(2000)))


def test_a_thousand_asyncio_tasks(instance: Any, stored: Stored) -> None:
    watcher = client(instance)

    async def call(number: int) -> dict[str, Any]:
        await asyncio.sleep(0.001 * (number % 7))
        return {
            "object": "chat.completion",
            "model": "tasks",
            "choices": [],
            "usage": {"prompt_tokens": number, "completion_tokens": 1, "total_tokens": number + 1},
        }

    async def one(number: int) -> None:
        answer = await watcher.track(lambda: call(number), provider="openai", model="tasks")
        assert answer["usage"]["prompt_tokens"] == number

    async def all_of_them() -> None:
        await asyncio.gather(*[one(number) for number in range(1000)])

    asyncio.run(all_of_them())
    assert watcher.shutdown(30)
    assert stored(instance, "tasks") == (1000, sum(range(1000)))


@pytest.mark.slow
def test_a_server_that_is_killed_and_restarted_under_load(
    new_instance: Any, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenwatcher.sender._LONGEST_PAUSE", 0.3)
    running = new_instance()
    network = FlakyNetwork(running.url)
    watcher = client(running, network.url, max_batch_size=20)

    def work() -> None:
        for start in range(0, 1500, 10):
            record(watcher, "killed", range(start, start + 10))
            time.sleep(0.01)

    recording = threading.Thread(target=work)
    recording.start()
    time.sleep(0.5)
    running.kill()
    running.start()
    network.upstream = running.url
    recording.join(30)
    assert watcher.shutdown(60)
    network.close()
    assert stored(running, "killed") == (1500, sum(range(1500)))


APP = """
import os, signal, time
from tokenwatcher import TokenWatcher
tw = TokenWatcher({key!r}, {endpoint!r}, flush_interval=0.0, spool_dir={spool!r})
for number in range(10):
    tw.track_manual("openai", {model!r}, number, 1)
while tw.stats().spooled < 10:
    time.sleep(0.01)
{ending}
"""


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("1 / 0", 1),
        ("os._exit(5)", 5),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_what_an_app_spooled_before_its_end_the_next_one_sends(
    instance: Any, network: FlakyNetwork, stored: Stored, tmp_path: Path, ending: str, status: int
) -> None:
    key, model, spool = instance.key(), f"ended-{status}", str(tmp_path)
    network.always = "lost"
    app = APP.format(key=key, endpoint=network.url, spool=spool, model=model, ending=ending)
    done = subprocess.run(
        [sys.executable, "-c", app], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, done.stderr
    network.always = "none"
    watcher = TokenWatcher(key, network.url, spool_dir=spool)
    end = time.monotonic() + 20
    while watcher.stats().sent < 10:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert watcher.shutdown(10)
    assert stored(instance, model) == (10, 45)


WEB_APP = """
import os
from tokenwatcher import TokenWatcher
tw = TokenWatcher({key!r}, {endpoint!r}, flush_interval=0.05)
tw.track_manual("openai", "gunicorn", 1000, 1)

def app(environ, start_response):
    tw.track_manual("openai", "gunicorn", int(environ["QUERY_STRING"]), 1)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


def test_gunicorn_with_four_workers_forked_from_one_that_has_recorded(
    instance: Any, stored: Stored, tmp_path: Path
) -> None:
    (tmp_path / "web_app.py").write_text(WEB_APP.format(key=instance.key(), endpoint=instance.url))
    port = free_port()
    gunicorn = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "-w", "4", "-b", f"127.0.0.1:{port}",
         "--log-level", "critical", "web_app:app"],
        cwd=tmp_path,
    )  # fmt: skip
    workers: set[str] = set()
    try:
        wait_for_port(port)

        def ask(number: int) -> None:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as browser:
                workers.update(browser.get(f"/?{each}").text for each in range(number, 200, 10))

        in_threads(10, ask)
    finally:
        gunicorn.terminate()
        gunicorn.wait(30)
    assert len(workers) > 1
    assert stored(instance, "gunicorn") == (201, 1000 + sum(range(200)))


CELERY_APP = """
import os
import tokenwatcher as tw
from celery import Celery

folders = ("data_folder_in", "data_folder_out", "control_folder")
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = dict.fromkeys(folders, os.environ["QUEUE"])
tw.init(api_key={key!r}, endpoint={endpoint!r}, flush_interval=600)
if "IS_WORKER" in os.environ:
    tw.track_manual("openai", "celery", 1000, 1)

@app.task
def call(number):
    tw.track_manual("openai", "celery", number, 1)
"""
SEND = "import tasks; [tasks.call.delay(number) for number in range(200)]"


@pytest.mark.slow
def test_workers_of_celery_that_are_forked_renewed_and_stopped_lose_and_double_nothing(
    instance: Any, stored: Stored, tmp_path: Path
) -> None:
    """Nothing is sent while they work: each has to send what it has before it ends."""
    (tmp_path / "tasks.py").write_text(CELERY_APP.format(key=instance.key(), endpoint=instance.url))
    queue = tmp_path / "queue"
    queue.mkdir()
    environment = os.environ | {"QUEUE": str(queue), "PYTHONWARNINGS": "ignore"}
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-c", "4", "-P", "prefork",
         "--max-tasks-per-child", "20", "--loglevel", "ERROR",
         "--without-gossip", "--without-mingle", "--without-heartbeat"],
        cwd=tmp_path, env=environment | {"IS_WORKER": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        send = [sys.executable, "-c", SEND]
        subprocess.run(send, cwd=tmp_path, env=environment, check=True, timeout=60)
        end = time.monotonic() + 60
        while list(queue.glob("*.msg")):
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        worker.terminate()
        worker.wait(30)
    assert stored(instance, "celery") == (201, 1000 + sum(range(200)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 30
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)) != 0:
            assert time.monotonic() < end
            time.sleep(0.05)
