"""Acknowledged events never vanish in silence: files that don't fit each other are refused.

And where the columns or the response index differ from the journal, a check says so.
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tokenwatcher_server.events.store import EventStore, StoreRefused, Verification
from tokenwatcher_server.stores import rebuild_store
from tokenwatcher_server.stores.embedded.fingerprint_run import Fingerprints, Run, write_run

RESPONSE = "chatcmpl-0123456789abcdef"


def digests(folder: Path) -> dict[str, str]:
    """Every file that holds something; the lock and the journal's shared memory don't."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".lock", ".db-shm"} and path.stat().st_size
    }


def calls(embedded: Any, cast: Any) -> int:
    async def work(store: EventStore) -> int:
        [[row]] = await store.usage([cast.query("calls")])
        return int(row.values[0] or 0)

    return int(embedded.run(work))


def append(embedded: Any, *batches: Any) -> None:
    async def work(store: EventStore) -> None:
        for batch in batches:
            await store.append([batch])

    embedded.run(work)


def verified(embedded: Any) -> Verification:
    async def work(store: EventStore) -> Verification:
        return await store.verify()

    found: Verification = embedded.run(work)
    return found


def on_columns(folder: Path, statement: str) -> None:
    with duckdb.connect(str(folder / "events.duckdb")) as connection:
        connection.execute(statement)


def without_its_last_commits(embedded: Any, cast: Any) -> None:
    """Leave the journal as it is when the file beside it, which has the newest, is lost."""
    append(embedded, [cast.event()])
    journal = embedded.data_dir / "journal.db"
    older = journal.with_suffix(".older")
    shutil.copyfile(journal, older)
    append(embedded, [cast.event() for _ in range(3)], [cast.event(response_id=RESPONSE)])
    older.replace(journal)


def without_its_log_after_a_crash(embedded: Any, cast: Any) -> None:
    """The newest events are in the journal's log alone when the process is killed."""
    folder = embedded.data_dir
    copy = folder.parent / "crashed"
    append(embedded, [cast.event()])

    async def work(store: EventStore) -> None:
        await store.append([[cast.event() for _ in range(3)]])
        shutil.copytree(folder, copy)

    embedded.run(work)
    shutil.rmtree(folder)
    copy.rename(folder)
    for beside in ("-wal", "-shm"):
        (folder / f"journal.db{beside}").unlink()


def without_its_journal(embedded: Any, cast: Any) -> None:
    append(embedded, [cast.event()])
    (embedded.data_dir / "journal.db").unlink()


def without_its_last_commits_and_columns(embedded: Any, cast: Any) -> None:
    """The response index alone still knows of them."""
    without_its_last_commits(embedded, cast)
    (embedded.data_dir / "events.duckdb").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        without_its_last_commits,
        without_its_log_after_a_crash,
        without_its_journal,
        without_its_last_commits_and_columns,
    ],
)
def test_a_journal_that_lost_acknowledged_events_is_refused_and_nothing_touched(
    embedded: Any, cast: Any, damage: Callable[[Any, Any], None]
) -> None:
    damage(embedded, cast)
    before = digests(embedded.data_dir)
    with pytest.raises(StoreRefused, match=r"events are missing from the journal.*Put the newest"):
        calls(embedded, cast)
    with pytest.raises(StoreRefused, match="events are missing from the journal"):
        rebuild_store(embedded.data_dir, lambda *_: None)
    assert digests(embedded.data_dir) == before


def test_the_refusal_names_a_way_on_that_works(embedded: Any, cast: Any) -> None:
    without_its_last_commits(embedded, cast)
    kept = embedded.data_dir.parent / "kept"
    kept.mkdir()
    for name in ("events.duckdb", "events.responses"):
        (embedded.data_dir / name).rename(kept / name)
    assert calls(embedded, cast) == 1
    assert verified(embedded).sound


def test_columns_made_from_another_journal_are_refused_and_untouched(
    embedded: Any, cast: Any
) -> None:
    append(embedded, [cast.event()])
    on_columns(embedded.data_dir, "update applied set hash = from_hex(repeat('ab', 32))")
    before = digests(embedded.data_dir)
    with pytest.raises(StoreRefused, match="another journal"):
        calls(embedded, cast)
    assert digests(embedded.data_dir) == before


def test_columns_of_a_newer_version_are_refused_and_untouched(embedded: Any, cast: Any) -> None:
    append(embedded, [cast.event()])
    on_columns(embedded.data_dir, "update about set version = 99")
    before = digests(embedded.data_dir)
    with pytest.raises(StoreRefused, match=r"newer TokenWatcher .*start that version again"):
        calls(embedded, cast)
    assert digests(embedded.data_dir) == before


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("update events set cost_total = cost_total + 1 where sequence = 2", "commit 2:.* cost = "),
        ("update events set input_tokens = 0 where sequence = 1", "commit 1:.* input_tokens = "),
        ("delete from events where sequence = 2", "commit 2:.* events = 0"),
        ("insert into events from events where sequence = 1", "commit 1:.* events = 2"),
        ("update events set sequence = -4 where sequence = 1", "commit 1:.* events = 0"),
        ("insert into events by name select * replace (9 as sequence) from events", "commit 9"),
    ],
)
def test_columns_that_differ_from_the_journal_are_found_and_the_commit_named(
    embedded: Any, cast: Any, statement: str, fault: str
) -> None:
    append(embedded, [cast.event()], [cast.event(), cast.event()])
    on_columns(embedded.data_dir, statement)
    found = verified(embedded)
    assert not found.sound
    assert any(re.search(fault, each) for each in found.faults), found.faults


def test_an_answer_that_the_response_index_lost_is_found(embedded: Any, cast: Any) -> None:
    append(embedded, [cast.event(response_id=RESPONSE)])
    assert verified(embedded).sound
    [run] = (embedded.data_dir / "events.responses").glob("*.run")
    whole = run.read_bytes()
    run.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    found = verified(embedded)
    assert not found.sound
    assert "commit 1: 1 of its providers' answers are not known" in found.faults[0]
    rebuild_store(embedded.data_dir, lambda *_: None)
    assert verified(embedded).sound


def test_an_answer_that_only_the_response_index_knows_is_found(embedded: Any, cast: Any) -> None:
    append(embedded, [cast.event(response_id=RESPONSE)])
    folder = embedded.data_dir / "events.responses"
    [path] = folder.glob("*.run")
    run = Run(path)
    [known] = zip(run.high.tolist(), run.low.tolist(), strict=True)
    known_bytes = known[0].to_bytes(8, "big") + known[1].to_bytes(4, "big")
    write_run(folder, run.coverage, Fingerprints.of([known_bytes, b"of no event."]))
    found = verified(embedded)
    assert not found.sound
    assert "knows 2 providers' answers where the journal has 1" in found.faults[0]


def test_statistics_say_how_far_questions_are_behind(embedded: Any, cast: Any) -> None:
    async def work(store: EventStore) -> Any:
        await store.usage([cast.query("calls")])
        return await store.statistics()

    figures = embedded.after([[cast.event()]], work)
    assert figures["commits"] == figures["applied_commits"] > 0
