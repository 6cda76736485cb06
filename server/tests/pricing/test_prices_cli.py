"""`tokenwatcher prices` as a person and a script meet it, on a real data folder."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from tokenwatcher_server.cli.price_text import dollars, explanation_text, validity
from tokenwatcher_server.cli.prices import prices
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.control.tables import workspaces
from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.operations import Explanation
from tokenwatcher_server.pricing.rates import RateLine
from tokenwatcher_server.stores import open_store

NOON = 1_795_435_200_000_000
DAYS = ["--from", "2026-11-22", "--to", "2026-11-23"]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TOKENWATCHER_DATA_DIR", str(tmp_path))
    asyncio.run(_found(tmp_path))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(prices, list(arguments), prog_name="tokenwatcher prices")

    return invoke


async def _found(data_dir: Path) -> None:
    """Make the control database, as the first start of a server does."""
    database = Database(control_url(None, data_dir))
    await migrate(database)
    await database.close()


@pytest.fixture
def stored(tmp_path: Path, make_event: Any) -> None:
    """Three calls: of a listed model, of an unknown one, and one that failed."""
    events = [
        make_event(
            id="listed-event", tokens=Tokens(input_text=688, cache_read=512, output_text=40)
        ),
        make_event(id="unknown-event", model="in-house", content_digest=b"2" * 16),
        make_event(
            id="failed-event",
            event_type="error",
            error_type="E",
            tokens=Tokens(),
            content_digest=b"3" * 16,
        ),
    ]

    async def store_them() -> None:
        clock = FrozenClock(NOON)
        database = Database(control_url(None, tmp_path))
        await migrate(database)
        row = {"id": WorkspaceId("workspace"), "name": "Alpha", "slug": "alpha", "created_at": NOON}
        async with database.transaction() as connection:
            await connection.execute(insert(workspaces), [row])
        book = PriceBook()
        await book.load(database, clock)
        costs = book.price_batch(events)
        await book.keep_new_lines()
        store = await open_store(None, tmp_path, clock)
        await store.append([[PricedEvent(e, c) for e, c in zip(events, costs, strict=True)]])
        await store.close()
        await database.close()

    asyncio.run(store_them())


def test_a_price_is_set_listed_and_removed(run: Run) -> None:
    made = run(
        "set", "openai", "gpt-4o*", "--input", "2.25", "--output", "9", "--note", "deal", "--json"
    )
    assert made.exit_code == 0, made.output
    price = json.loads(made.output)
    assert price["usdPerMillionTokens"] == {"input": "2.25", "output": "9"}
    assert price["removedAt"] is None
    listed = run("list")
    assert "input $2.25, output $9 per 1M tokens" in listed.output
    assert "deal" in listed.output
    assert run("remove", price["id"]).output == "Removed the price for openai gpt-4o*.\n"
    assert "No custom prices" in run("list").output
    assert f"{price['id']}  openai" in run("list", "--all").output
    [gone] = json.loads(run("list", "--all", "--json").output)
    assert gone["removedAt"] is not None


def test_a_price_that_leaves_calls_unpriced_says_so_when_it_is_set(run: Run) -> None:
    half = run("set", "openai", "gpt-4o", "--input", "2.5")
    assert "It has no --output: a call with output stays unpriced." in half.stderr
    call = ("explain", "--provider", "openai", "--model", "gpt-4o")
    told = run(*call, "--input-tokens", "10", "--output-tokens", "1").output
    assert "Unpriced: the price has no rate for output" in told
    assert run("set", "openai", "gpt-4o", "--input", "2.5", "--output", "10").stderr == ""
    assert run("set", "vllm", "*", "--per-hour", "1").stderr == ""


def test_a_price_says_when_it_begins(run: Run) -> None:
    made = run(
        "set", "vllm", "*", "--per-hour", "1.2", "--tool", "web_search=0.01", "--from", "2026-05-01"
    )
    assert "web_search $0.01 per call; $1.2 per hour" in made.output
    assert "for calls made since 2026-05-01T00:00:00.000000Z" in made.output
    to_the_minute = run("set", "x", "y", "--free", "--from", "2026-05-01T12:30:00+02:00")
    assert "free,\nfor calls made since 2026-05-01T10:30:00.000000Z" in to_the_minute.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["set", "openai", "x"], "Give a price: --input"),
        (["set", "openai", "x", "--input", "0.0000001"], "whole number of picodollars"),
        (["set", "openai", "x", "--free", "--input", "1"], "--free can't be combined"),
        (["set", "openai", "x", "--free", "--from", "May"], "is not a date"),
        (["set", "openai", "x", "--free", "--tool", "web_search"], "is not of the form"),
        (["explain"], "Give the id of an event"),
        (["explain", "an-event", "--provider", "p", "--model", "m"], "Give the id of an event"),
        (["explain", "--provider", "p", "--model", "m", "--tool", "a=b"], "takes a count"),
        (
            [
                "explain",
                "--provider",
                "p",
                "--model",
                "m",
                "--input-tokens",
                "1",
                "--audio-input-tokens",
                "2",
            ],
            "exceed",
        ),
        (["apply", "--from", "2026-11-02", "--to", "2026-11-01"], "--to must not be before"),
        (["apply"], "Missing option"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    run: Run, arguments: list[str], complaint: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["remove", "no-such-id"], "There is no custom price with the id no-such-id."),
        (["explain", "no-such-event"], "There is no event with the id no-such-event."),
        (["unpriced", *DAYS, "--workspace", "gamma"], "There is no workspace 'gamma'."),
        (["list", "--data-dir", "/nonexistent/place"], "There is no instance"),
    ],
)
def test_a_failure_ends_with_1_and_says_why(run: Run, arguments: list[str], complaint: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert complaint in result.stderr


@pytest.mark.usefixtures("stored")
def test_a_stored_cost_is_told_line_by_line(run: Run) -> None:
    told = run("explain", "listed-event").output
    assert 'Price: openai/gpt-4o by "listed name"' in told
    assert "input         688  ×   $2.5  per 1M tokens  =  $0.00172\n" in told
    assert "cached input  512  ×  $1.25  per 1M tokens  =  $0.00064\n" in told
    assert "output         40  ×    $10  per 1M tokens  =  $0.00040\n" in told
    assert "total                                       =  $0.00276\n" in told
    assert "The cache saved $0.00064." in told
    as_json = json.loads(run("explain", "listed-event", "--json").output)
    assert as_json["totalCost"] == "0.00276"
    assert [line["amountUsd"] for line in as_json["lines"]] == ["0.00172", "0.00064", "0.0004"]


@pytest.mark.usefixtures("stored")
def test_an_event_without_a_price_says_why(run: Run) -> None:
    assert "Unpriced: no price is known for this model" in run("explain", "unknown-event").output
    assert json.loads(run("explain", "unknown-event", "--json").output)["priced"] is False
    failed = run("explain", "failed-event").output
    assert "Price: failed call, no tokens" in failed
    assert "Total: $0" in failed


def test_a_call_that_nobody_made_is_priced_too(run: Run) -> None:
    told = run(
        "explain", "--provider", "anthropic", "--model", "claude-sonnet-4-5", "--at", "2026-11-01",
        "--input-tokens", "3000", "--cache-write-tokens", "1000", "--cache-write-1h-tokens", "400",
        "--output-tokens", "400", "--tier", "batch", "--tool", "web_search=2",
    ).output  # fmt: skip
    assert "anthropic claude-sonnet-4-5, batch tier at 2026-11-01T00:00:00.000000Z" in told
    assert "web_search calls" in told
    assert "=  $0.028325\n" in told


def test_an_own_price_shows_in_a_call_that_nobody_made(run: Run) -> None:
    run("set", "vllm", "llama*", "--per-hour", "3.6")
    told = run("explain", "--provider", "vllm", "--model", "llama3", "--latency-ms", "1500").output
    assert "time   1,500  ×  $3.6  per hour (of ms)  =  $0.0015  (by latency" in told


@pytest.mark.usefixtures("stored")
def test_what_is_unpriced_is_listed_and_priced_on_request(run: Run) -> None:
    listed = run("unpriced", *DAYS)
    assert "     1  openai    in-house  2026-11-23  2026-11-23  no price is known" in listed.output
    run("set", "openai", "in-house", "--input", "1", "--output", "2", "--from", "2026-01-01")
    planned = run("apply", *DAYS, "--dry-run").output
    assert "1 of 1 events would change; 0 stay unpriced.\nNothing was stored" in planned
    done = run("apply", *DAYS).output
    assert "     1  openai    in-house  $0.0000  $0.0012     $0.0012\n" in done
    assert "1 of 1 events changed; 0 stay unpriced.\n" in done
    assert "Every event of that time has a cost." in run("unpriced", *DAYS).output
    assert json.loads(run("unpriced", *DAYS, "--json").output) == {"models": []}
    repeated = json.loads(run("apply", *DAYS, "--include-priced", "--json").output)
    assert repeated["changed"] == 0
    assert "total" in run("explain", "unknown-event").output


def test_amounts_in_a_column_have_the_same_decimals() -> None:
    assert dollars([10**12, -(10**9), 1_234_567 * 10**12]) == [
        "$1.000",
        "-$0.001",
        "$1,234,567.000",
    ]
    assert dollars([0]) == ["$0.00"]


def test_when_a_price_holds_is_said_in_words() -> None:
    line = RateLine(
        provider="p",
        model="m",
        rates=Tokens(),
        source="s",
        valid_from=NOON,
        valid_to=NOON + 43_200_000_000,
        daily=(0, 1_800_000_000),
    )
    assert validity(line) == (
        "from 2026-11-23T12:00:00.000000Z until 2026-11-24 daily 00:00 to 00:30 UTC"
    )


def test_a_cost_whose_line_is_gone_still_shows_its_total() -> None:
    found = Explanation("openai", "m", NOON, None, Cost(5, price_id="0" * 32))
    assert explanation_text(found)[-1] == "Total: $0.000000000005"
