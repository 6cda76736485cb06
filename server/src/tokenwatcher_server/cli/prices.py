"""`tokenwatcher prices`: the operator's own prices, how a cost came about, pricing again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from tokenwatcher_server.cli.control import operator, with_control
from tokenwatcher_server.cli.group import Group
from tokenwatcher_server.cli.instance import (
    data_dir_option,
    is_instance,
    json_option,
    print_json,
    run_operation,
)
from tokenwatcher_server.cli.price_options import (
    COUNT_OPTIONS,
    TOKEN_OPTIONS,
    Assignment,
    Moment,
    described_call,
    described_options,
    from_option,
    period_between,
    to_option,
    workspace_option,
)
from tokenwatcher_server.cli.price_text import (
    custom_price_json,
    custom_prices_text,
    explanation_json,
    explanation_text,
    rates_text,
    repriced_text,
    unpriced_text,
)
from tokenwatcher_server.events.event import Event
from tokenwatcher_server.kernel.clock import DAY_US, SystemClock, iso
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.pricing import changes, custom
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.operations import (
    ApplyArguments,
    ExplainArguments,
    Explanation,
    UnpricedArguments,
    explanation,
)

UNPRICED_DAYS = 90


@click.group(cls=Group)
def prices() -> None:
    """Set your own prices, and see how each cost came about.

    Your own prices win over the list prices that come with TokenWatcher. Rates are decimal US
    dollars for a million tokens, and exact: nothing is rounded.
    """


@prices.command("set")
@click.argument("provider")
@click.argument("model")
@described_options(TOKEN_OPTIONS, str, metavar="USD")
@click.option("--per-request", metavar="USD", help="For each call.")
@click.option("--per-hour", metavar="USD", help="For an hour of a call's latency: local models.")
@click.option("--tool", "tools", type=Assignment(), multiple=True, metavar="NAME=USD",
              help="For each call of a provider's tool, such as web_search=0.01. Repeatable.")  # fmt: skip
@click.option("--free", is_flag=True, help="Costs nothing, such as a local model.")
@click.option("--tier", metavar="NAME", help="Only for this service tier, such as batch.")
@click.option("--from", "start", type=Moment(), metavar="DATE",
              help="For calls made since this UTC day.  [default: today]")  # fmt: skip
@click.option("--note", default="", help="Why, for whoever reads the list.")
@data_dir_option
@json_option
def set_price(
    provider: str,
    model: str,
    per_request: str | None,
    per_hour: str | None,
    tools: Sequence[tuple[str, str]],
    tier: str | None,
    start: int | None,
    note: str,
    data_dir: Path,
    *,
    free: bool,
    as_json: bool,
    **tokens: str | None,
) -> None:
    """Set a price for PROVIDER (or '*') and MODEL (a name, with * at either end for any text).

    It holds from its date until a later price for the same names. Events already stored keep
    their cost until `tokenwatcher prices apply`.

    \b
        tokenwatcher prices set openai 'gpt-4o*' --input 2.25 --cache-read 1.1 --output 9
        tokenwatcher prices set ollama '*' --free --from 2026-01-01
        tokenwatcher prices set vllm 'llama*' --per-hour 1.20
    """
    rates = {name: value for name, value in tokens.items() if value is not None}
    if free and (rates or per_request or per_hour):
        raise click.UsageError("--free can't be combined with a rate.")
    now = SystemClock().now_us()

    try:
        price = custom.new_price(
            provider=provider,
            model_pattern=model,
            valid_from=now - now % DAY_US if start is None else start,
            now_us=now,
            tokens={"input": "0", "output": "0"} if free else rates,
            calls=dict(tools),
            per_request=per_request,
            per_hour=per_hour,
            service_tier=tier,
            note=note,
        )
    except AppError as error:
        raise click.UsageError(error.message) from None
    with_control(data_dir, lambda connection: changes.set_price(connection, operator(), price))
    if as_json:
        print_json(custom_price_json(price))
    else:
        click.echo(f"{price.provider} {price.model_pattern}: {rates_text(price)},")
        click.echo(f"for calls made since {iso(price.valid_from)}. Its id is {price.id}.")
        for kind in ("input", "output"):
            if price.tokens and kind not in price.tokens:
                click.echo(f"It has no --{kind}: a call with {kind} stays unpriced.", err=True)


@prices.command("list")
@click.option("--all", "with_removed", is_flag=True, help="Removed ones too.")
@data_dir_option
@json_option
def list_prices(*, with_removed: bool, data_dir: Path, as_json: bool) -> None:
    """List your own prices."""
    found = with_control(
        data_dir, lambda connection: custom.list_prices(connection, with_removed=with_removed)
    )
    if as_json:
        print_json([custom_price_json(price) for price in found])
    else:
        _print(custom_prices_text(found))


@prices.command("remove")
@click.argument("price_id", metavar="ID")
@data_dir_option
@json_option
def remove_price(price_id: str, data_dir: Path, *, as_json: bool) -> None:
    """Stop using one of your prices; what it priced keeps its cost."""
    now = SystemClock().now_us()
    removed = with_control(
        data_dir, lambda connection: changes.remove_price(connection, operator(), price_id, now)
    )
    if as_json:
        print_json(custom_price_json(removed))
    else:
        click.echo(f"Removed the price for {removed.provider} {removed.model_pattern}.")


@prices.command()
@click.argument("event_id", required=False)
@click.option("--provider", help="Instead of an event: a call to this provider.")
@click.option("--model", help="And this model.")
@described_options(COUNT_OPTIONS, click.IntRange(min=0), metavar="N")
@click.option("--tool", "tools", type=Assignment(), multiple=True, metavar="NAME=N",
              help="Calls of a provider's tool, such as web_search=2. Repeatable.")  # fmt: skip
@click.option("--tier", metavar="NAME", help="The service tier, such as batch.")
@click.option("--latency-ms", type=click.IntRange(min=0), metavar="N", help="How long it took.")
@click.option("--at", type=Moment(), metavar="DATE", help="When it was made.  [default: now]")
@data_dir_option
@json_option
def explain(
    event_id: str | None,
    provider: str | None,
    model: str | None,
    data_dir: Path,
    *,
    as_json: bool,
    **call: Any,
) -> None:
    """Print the arithmetic of a cost, line by line.

    \b
        tokenwatcher prices explain 01938e3c-7b52-7c41-8b1e-6a1f8f0f3a11
        tokenwatcher prices explain --provider openai --model gpt-4o --input-tokens 1200
    """
    if (event_id is None) == (provider is None or model is None):
        raise click.UsageError("Give the id of an event, or --provider and --model of a call.")
    if event_id is not None:
        found = run_operation(data_dir, "prices.explain", ExplainArguments(event_id))
    else:
        found = _explain_call(data_dir, described_call(str(provider), str(model), call))
    if as_json:
        print_json(explanation_json(found))
    else:
        _print(explanation_text(found))


@prices.command()
@click.option(
    "--from",
    "start",
    type=Moment(),
    metavar="DATE",
    help="From the start of this UTC day.  [default: 90 days ago]",
)
@click.option("--to", "end", type=Moment(end_of_day=True), metavar="DATE",
              help="To the end of this UTC day.  [default: today]")  # fmt: skip
@workspace_option
@data_dir_option
@json_option
def unpriced(
    start: int | None, end: int | None, workspace: str | None, data_dir: Path, *, as_json: bool
) -> None:
    """List the models whose calls have no cost, and why."""
    now_us = SystemClock().now_us()
    period = period_between(
        now_us - UNPRICED_DAYS * DAY_US if start is None else start,
        now_us + DAY_US if end is None else end,
    )
    arguments = UnpricedArguments(period, workspace)
    found = run_operation(data_dir, "prices.unpriced", arguments)
    if as_json:
        print_json(found)
    else:
        _print(unpriced_text(found.models))


@prices.command()
@from_option
@to_option
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--include-priced", is_flag=True,
              help="Also price anew what has a cost: history changes to today's prices.")  # fmt: skip
@workspace_option
@data_dir_option
@json_option
def apply(
    start: int,
    end: int,
    workspace: str | None,
    data_dir: Path,
    *,
    dry_run: bool,
    include_priced: bool,
    as_json: bool,
) -> None:
    """Price the stored events that have no cost yet, at the prices of their own time."""
    arguments = ApplyArguments(period_between(start, end), dry_run, include_priced, workspace)
    report = run_operation(data_dir, "prices.apply", arguments)
    if as_json:
        print_json(report)
    else:
        _print(repriced_text(report))


def _explain_call(data_dir: Path, event: Event) -> Explanation:
    """Price a call that nobody made; where there is no instance yet, at the list prices."""
    own = with_control(data_dir, custom.list_prices) if is_instance(data_dir) else ()
    book = PriceBook(own=own)
    [cost] = book.price_batch([event])
    return msgspec.structs.replace(asyncio.run(explanation(event, cost, book)), event_id=None)


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
