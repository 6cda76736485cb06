"""What can't be sent is kept on disk and sent later: by this process or the next, counted once."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tokenwatcher import TokenWatcher
from tokenwatcher.spool import Spool
from tokenwatcher.transport import Answer, MemoryTransport, NoAnswer

KEY = "tw_test_0123456789abcdefghijABCDEFGHIJ0123456789abc"
UNREACHABLE = "http://127.0.0.1:9"


class Silent:
    """A server that is away until it is told to come back."""

    def __init__(self) -> None:
        self.away = True
        self.there = MemoryTransport()

    def post(self, path: str, body: bytes) -> Answer:
        if self.away:
            raise NoAnswer("ConnectionRefusedError")
        return self.there.post(path, body)

    def close(self) -> None:
        pass


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., TokenWatcher]:
    """Makes clients as processes would, one after the other, with one spool."""

    def client(endpoint: str, **settings: Any) -> TokenWatcher:
        options = {"api_key": KEY, "flush_interval": 0.0, "spool_dir": tmp_path / "spool"}
        return TokenWatcher(**{**options, **settings, "endpoint": endpoint})

    return client


def record(client: TokenWatcher, number: int) -> list[str]:
    ids = [client.track_manual("openai", "gpt-4o", n, 1) for n in range(number)]
    return [each for each in ids if each is not None]


def kept_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.events"))


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def test_what_one_process_could_not_send_the_next_one_sends(
    start: Callable[..., TokenWatcher], server: Any, tmp_path: Path
) -> None:
    first = start(server.url, transport=Silent())
    ids = record(first, 250)
    assert first.shutdown()
    assert (first.stats().spooled, first.stats().failed, first.stats().dropped) == (250, 0, 0)
    second = start(server.url)
    wait_until(lambda: len(server.ids) == 250)
    assert sorted(server.ids) == sorted(ids)
    wait_until(lambda: not kept_files(tmp_path))
    assert second.stats().sent == 250
    assert second.shutdown()


def test_the_same_process_sends_them_once_the_server_is_back(
    start: Callable[..., TokenWatcher], tmp_path: Path
) -> None:
    wire = Silent()
    client = start(UNREACHABLE, transport=wire)
    record(client, 30)
    wait_until(lambda: client.stats().spooled == 30)
    wire.away = False
    wait_until(lambda: client.stats().sent == 30)
    wait_until(lambda: not kept_files(tmp_path))
    assert client.shutdown()


def test_what_a_slow_answer_leaves_no_time_for_is_kept(
    start: Callable[..., TokenWatcher], server: Any, tmp_path: Path
) -> None:
    server.slow.clear()
    first = start(server.url, max_batch_size=10)
    ids = record(first, 45)
    assert first.shutdown(timeout=0.3)
    assert first.stats().spooled == 45
    assert sum(path.read_bytes().count(b"\n") for path in kept_files(tmp_path)) == 45
    server.slow.set()
    second = start(server.url)
    wait_until(lambda: not kept_files(tmp_path))
    assert set(server.ids) == set(ids)
    assert second.shutdown()


def test_a_full_spool_keeps_what_it_has_and_loses_no_file(
    start: Callable[..., TokenWatcher], tmp_path: Path
) -> None:
    client = start(
        UNREACHABLE, transport=Silent(), spool_max_bytes=10_000, max_batch_size=10, max_retries=0
    )
    record(client, 200)
    client.shutdown()
    stats = client.stats()
    assert 0 < stats.spooled < 200
    assert stats.spooled + stats.failed == 200
    assert sum(path.stat().st_size for path in kept_files(tmp_path)) <= 10_000


def test_files_and_folder_are_the_owners_alone(
    start: Callable[..., TokenWatcher], tmp_path: Path
) -> None:
    client = start(UNREACHABLE, transport=Silent())
    record(client, 1)
    client.shutdown()
    [path] = kept_files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert KEY not in str(path)
    assert KEY.encode() not in path.read_bytes()


def test_another_key_or_endpoint_never_sends_them(
    start: Callable[..., TokenWatcher], server: Any, tmp_path: Path
) -> None:
    first = start(server.url, transport=Silent())
    record(first, 5)
    first.shutdown()
    other = start(server.url, api_key=KEY.replace("0123", "3210"))
    [own] = record(other, 1)
    assert other.shutdown()
    assert server.ids == [own]
    assert sum(path.read_bytes().count(b"\n") for path in kept_files(tmp_path)) == 5


def test_a_file_is_sent_by_one_process_at_a_time(tmp_path: Path) -> None:
    one, two = Spool(tmp_path, 10_000), Spool(tmp_path, 10_000)
    assert one.keep([b'{"id": 1}'])
    assert one.keep([b'{"id": 2}'])
    with one.claim() as first, two.claim() as second, two.claim() as third:
        assert first is not None
        assert second is not None
        assert third is None
        assert first.events + second.events == [b'{"id": 1}', b'{"id": 2}']
        one.settle(first)
    with two.claim() as left:
        assert left is not None
        assert left.events == [b'{"id": 2}']


def test_a_file_that_was_never_finished_is_never_sent(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000)
    (tmp_path / "00000000000000000001-1-0.part").write_bytes(b'{"id": ')
    assert spool.is_empty()
    with spool.claim() as kept:
        assert kept is None


def test_a_refused_file_is_given_up_and_the_next_one_sent(
    start: Callable[..., TokenWatcher], server: Any, tmp_path: Path
) -> None:
    first = start(server.url, transport=Silent(), max_batch_size=1)
    ids = record(first, 2)
    first.shutdown()
    server.answer(401, {"error": "A valid API key is needed."})
    second = start(server.url)
    wait_until(lambda: not kept_files(tmp_path))
    assert server.ids == ids[1:]
    assert second.stats().failed == 1
    assert "valid API key" in (second.stats().last_error or "")
    second.shutdown()


def test_a_damaged_line_costs_no_other_event(
    start: Callable[..., TokenWatcher], server: Any, tmp_path: Path
) -> None:
    first = start(server.url, transport=Silent(), max_batch_size=3, flush_interval=60)
    ids = record(first, 6)
    first.shutdown()
    path, _ = kept_files(tmp_path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"\x00\xff{", lines[2][:40], b"[]"]))
    second = start(server.url)
    wait_until(lambda: not kept_files(tmp_path))
    assert server.ids == [ids[0], *ids[3:]]
    assert second.stats().failed == 3
    second.shutdown()


def test_a_file_that_can_not_be_removed_is_sent_once_and_holds_nothing_up(
    start: Callable[..., TokenWatcher],
    server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = start(server.url, transport=Silent(), max_batch_size=1)
    ids = record(first, 2)
    first.shutdown()
    stuck, _ = kept_files(tmp_path)
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:  # a folder that has become read-only refuses its owner too, but not root
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    monkeypatch.setattr("tokenwatcher.sender._LOOK_SECONDS", 0.01)
    second = start(server.url)
    wait_until(lambda: kept_files(tmp_path) == [stuck])
    ids += record(second, 1)
    assert second.flush()
    assert server.ids == ids
    assert second.stats().internal_errors == 0
    second.shutdown()


def test_a_child_forked_while_a_file_was_sent_does_not_keep_it_shut(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000)
    assert spool.keep([b'{"id": 1}'])
    reading, writing = os.pipe()
    with spool.claim() as kept:
        assert kept is not None
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            os._exit(0)
    with spool.claim() as again:
        assert again is not None
    os.write(writing, b".")
    os.waitpid(child, 0)


def test_a_spool_that_can_not_be_written_takes_no_try_away(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where events can't be put on disk, each is sent as often as without a spool."""
    (tmp_path / "spool").write_text("a file where the folder should be")
    monkeypatch.setattr("tokenwatcher.sender._FIRST_PAUSE", 0.1)
    for _ in range(3):
        server.answer(503)
    client = TokenWatcher(
        KEY, server.url, flush_interval=0.0, spool_dir=tmp_path / "spool", max_retries=3
    )
    ids = record(client, 1)
    assert client.flush(10)
    assert server.ids == ids
    assert client.stats().failed == 0
    client.shutdown()
