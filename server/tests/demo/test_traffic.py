"""Live traffic goes through the SDK into a real server, and ends without losing anything."""

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.demo.founding import found_company
from tokenwatcher_server.demo.traffic import BURST, BURSTS_PER_SECOND, PER_SECOND, moments
from tokenwatcher_server.kernel.clock import SystemClock

COMMAND = [sys.executable, "-m", "tokenwatcher_server.demo.traffic"]


def found(instance: Any) -> None:
    async def run() -> None:
        database = Database(control_url(None, instance.data_dir))
        await found_company(database, SystemClock().now_us())
        await database.close()

    asyncio.run(run())


def calls(client: Any) -> int:
    count: int = client.get("/api/stats?days=1").json()["overview"]["callCount"]
    return count


def test_a_few_calls_are_made_each_second_with_bursts() -> None:
    flow = list(itertools.islice(moments(Random(5)), 4000))
    seconds = sum(pause for pause, _ in flow)
    sizes = [len(calls) for _, calls in flow]
    assert 0.9 < len(flow) / seconds / (PER_SECOND + BURSTS_PER_SECOND) < 1.1
    assert set(sizes) <= {1, *range(BURST[0], BURST[1] + 1)}
    assert max(sizes) > 1


def test_traffic_ends_on_sigterm_with_everything_it_sent_stored(
    new_instance: Callable[..., Any],
) -> None:
    instance = new_instance()
    found(instance)
    key = instance.key("--workspace", "default")
    read_key = instance.key("--workspace", "default", "--kind", "read")
    environment = {"TOKENWATCHER_API_KEY": key, "TOKENWATCHER_ENDPOINT": instance.url}
    process = subprocess.Popen(
        COMMAND, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )
    with instance.client(read_key) as client:
        deadline = time.monotonic() + 60
        while calls(client) < 3 and time.monotonic() < deadline:
            time.sleep(0.3)
    asked_at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=10)
    assert time.monotonic() - asked_at < 5
    assert process.returncode == 0
    told = re.fullmatch(r"Live traffic ended: (\d+) events sent, 0 lost\.\n", output)
    assert told
    assert int(told[1]) > 0
    with instance.client(read_key) as client:
        assert calls(client) == int(told[1])
    assert instance.stop() == 0
