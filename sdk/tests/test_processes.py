"""The life of a process: forks, ends of every kind, and what is sent by whom."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import pytest

from tokenwatcher import TokenWatcher
from tokenwatcher.testing import captured_usage

Watcher = Callable[..., TokenWatcher]


def run(server: Any, code: str, *, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    """Run an app of its own that reports to the local server."""
    setup = f"""
    import os, signal, sys, threading, time
    import tokenwatcher
    tw = tokenwatcher.TokenWatcher("tw_test_key_of_the_app", {server.url!r})
    """
    return subprocess.run(
        [sys.executable, "-W", warnings, "-c", textwrap.dedent(setup) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def models(server: Any) -> list[str]:
    return sorted(event["model"] for event in server.events)


def test_events_are_sent_when_the_app_ends(server: Any) -> None:
    done = run(server, "tw.track_manual('openai', 'm', 1, 1)")
    assert (done.returncode, done.stderr) == (0, "")
    assert models(server) == ["m"]


def test_events_are_sent_when_the_app_dies_of_an_exception(server: Any) -> None:
    done = run(server, "tw.track_manual('openai', 'm', 1, 1); raise SystemExit(3)")
    assert done.returncode == 3
    done = run(server, "tw.track_manual('openai', 'n', 1, 1); 1 / 0")
    assert done.returncode == 1
    assert models(server) == ["m", "n"]


def test_events_of_the_apps_exit_handlers_are_sent(server: Any) -> None:
    """Such handlers run in the opposite order of their making."""
    handler = "import atexit; atexit.register(lambda: tw.track_manual('openai', 'last', 1, 1));"
    for before in ("", "tw.track_manual('openai', 'first', 1, 1)"):
        done = run(server, f"{handler} {before}")
        assert (done.returncode, done.stderr) == (0, "")
    assert models(server) == ["first", "last", "last"]


def test_events_of_other_threads_are_sent_when_the_app_ends(server: Any) -> None:
    run(
        server,
        """
        def work():
            tw.track_manual('openai', 'late', 1, 1)
        threading.Thread(target=work).start()
        """,
    )
    assert models(server) == ["late"]


def test_app_that_is_killed_loses_no_more_than_its_last_moment(server: Any) -> None:
    done = run(
        server,
        """
        tw.track_manual('openai', 'flushed', 1, 1)
        tw.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert done.returncode == -signal.SIGKILL
    assert models(server) == ["flushed"]


def test_app_does_not_wait_long_for_a_server_that_is_away(server: Any) -> None:
    server.stop()
    began = time.monotonic()
    done = run(server, "tw.track_manual('openai', 'm', 1, 1)")
    assert done.returncode == 0
    assert time.monotonic() - began < 20
    assert "1 event(s) failed" in done.stderr


def test_forked_child_sends_its_own_events_and_not_its_parents(server: Any) -> None:
    done = run(
        server,
        """
        tw.track_manual('openai', 'before', 1, 1)
        child = os.fork()
        if child == 0:
            assert tw.stats().queued == 0
            tw.track_manual('openai', 'child', 1, 1)
            sys.exit(0)
        tw.track_manual('openai', 'parent', 1, 1)
        assert os.waitpid(child, 0)[1] == 0
        """,
        warnings="ignore",
    )
    assert done.returncode == 0, done.stderr
    assert models(server) == ["before", "child", "parent"]


def test_child_of_a_server_that_forks_without_python_sends_its_own_events(server: Any) -> None:
    """As uWSGI does, unless it is told otherwise."""
    done = run(
        server,
        """
        import ctypes
        tw.track_manual('openai', 'before', 1, 1)
        assert tw.flush(20)
        children = []
        for n in range(3):
            child = ctypes.PyDLL(None).fork()  # the hooks of os.fork know nothing of it
            if child == 0:
                tw.track_manual('openai', f'child-{n}', 1, 1)
                sent = tw.flush(20) and tw.stats().sent == 1
                os._exit(0 if sent else 9)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        tw.track_manual('openai', 'parent', 1, 1)
        """,
        warnings="ignore",
    )
    assert done.returncode == 0, done.stderr
    assert models(server) == ["before", "child-0", "child-1", "child-2", "parent"]
    assert len({event["id"] for event in server.events}) == 5


def test_fork_in_the_middle_of_a_flood_blocks_nobody(server: Any) -> None:
    done = run(
        server,
        """
        def flood():
            for n in range(3000):
                tw.track_manual('openai', 'flood', 1, 1)
        threads = [threading.Thread(target=flood) for _ in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for n in range(5):
            child = os.fork()
            if child == 0:
                tw.track_manual('openai', f'child-{n}', 1, 1)
                sent = tw.flush(20) and tw.stats().sent == 1
                os._exit(0 if sent else 9)
            children.append(child)
        for thread in threads:
            thread.join()
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        assert tw.flush(30)
        assert tw.stats().dropped == 0
        """,
        warnings="ignore",
    )
    assert done.returncode == 0, done.stderr
    found = models(server)
    assert found.count("flood") == 9000
    assert [model for model in found if model != "flood"] == [f"child-{n}" for n in range(5)]


def work(model: str, url: str) -> None:
    watcher = TokenWatcher("tw_test_key_of_a_worker", url)
    watcher.track_manual("openai", model, 1, 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_of_multiprocessing_sends_before_it_ends(server: Any, method: str) -> None:
    """Such a worker ends by os._exit: without atexit."""
    context: Any = multiprocessing.get_context(method)
    worker = context.Process(target=work, args=("worker", server.url))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0
    assert models(server) == ["worker"]


def test_signal_of_the_terminal_ends_the_app_as_ever(server: Any) -> None:
    done = run(
        server,
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
        tw.track_manual('openai', 'm', 1, 1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        """,
    )
    assert done.returncode == -signal.SIGINT or "KeyboardInterrupt" in done.stderr
    assert models(server) == ["m"]


def test_client_that_is_forgotten_leaves_nothing_behind(server: Any) -> None:
    done = run(server, "del tw; import gc; gc.collect()")
    assert (done.returncode, done.stderr) == (0, "")


def test_ids_of_forked_processes_differ() -> None:
    with captured_usage() as usage:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            made = [usage.client.track_manual("openai", "gpt-4o", 1, 2) for _ in range(10)]
            os.write(writing, " ".join(str(one) for one in made).encode())
            os._exit(0)
        os.waitpid(child, 0)
        theirs = os.read(reading, 1000).decode().split()
        os.close(reading)
        os.close(writing)
        ids = [usage.client.track_manual("openai", "gpt-4o", 1, 2) or "" for _ in range(1000)]
    assert len({*ids, *theirs}) == 1010
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)
        for one in ids
    )
