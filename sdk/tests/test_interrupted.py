"""Recording in the middle of recording, as a signal or the garbage collector may have it."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tokenwatcher as tw
from tokenwatcher import default
from tokenwatcher.testing import captured_usage

OURS = str(Path(str(tw.__file__)).parent)


def at_every_line(meanwhile: Callable[[], object], work: Callable[[], object]) -> int:
    """Do `work`, and `meanwhile` before every line of the SDK that it runs; tell how often."""
    times = 0
    busy = False

    def trace(frame: Any, _event: str, _argument: Any) -> Any:
        nonlocal times, busy
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if not busy:
            busy = True
            times += 1
            meanwhile()
            busy = False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return times


def in_time(work: Callable[[], object]) -> None:
    """Fail where `work` does not end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("what", ["recorded", "flushed", "asked for"])
def test_event_recorded_while_another_is_blocks_nobody(what: str) -> None:
    with captured_usage(max_queue_size=100_000, max_batch_size=1000) as usage:
        client = usage.client
        interruptions = 0

        def record() -> None:
            client.track_manual("openai", "gpt-4o", 1, 1)

        def work() -> None:
            nonlocal interruptions
            ways: dict[str, Callable[[], object]] = {
                "recorded": record,
                "flushed": client.flush,
                "asked for": client.stats,
            }
            interruptions = at_every_line(record, ways[what])

        in_time(work)
        assert interruptions > 1
        assert len(usage.events) == interruptions + (what == "recorded")
        assert [one.name for one in threading.enumerate()].count("tokenwatcher") == 1
        assert client.stats().internal_errors == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_another_thread_asks_for_the_state_blocks_nobody() -> None:
    """The child's copy of a lock that another thread held is never opened."""
    with captured_usage() as usage:
        client = usage.client
        held, forked = threading.Event(), threading.Event()

        def hold() -> None:
            locks = [client._recorder._renewing, default._default._lock]
            for lock in locks:
                lock.acquire()
            held.set()
            forked.wait(10)
            for lock in locks:
                lock.release()

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(10)
        child = os.fork()
        if child == 0:
            works = threading.Thread(target=lambda: (client.stats(), tw.stats()), daemon=True)
            works.start()
            works.join(10)
            os._exit(1 if works.is_alive() else 0)
        forked.set()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0
