"""What the commands of `tokenwatcher prices` take: dates, rates and counts, and their meaning."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.tokens import TokensDisagree
from tokenwatcher_server.ingest.buckets import to_buckets
from tokenwatcher_server.ingest.wire import WireEvent
from tokenwatcher_server.kernel.clock import SystemClock, to_us
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import Period

TOKEN_OPTIONS = {
    "input": "every kind of input without a rate of its own",
    "output": "every kind of output without a rate of its own",
    "cache-read": "input read from the provider's cache",
    "cache-write": "input written to the provider's cache",
    "cache-write-1h": "input written to the cache for an hour",
    "input-audio": "audio input",
    "input-image": "image input",
    "cache-read-audio": "audio input read from the cache",
    "output-reasoning": "reasoning output",
    "output-audio": "audio output",
}
COUNT_OPTIONS = {
    "input-tokens": "all input, cached and written included",
    "output-tokens": "all output, reasoning included",
    "cache-read-tokens": "of the input, read from the cache",
    "cache-write-tokens": "of the input, written to the cache",
    "cache-write-5m-tokens": "of the writes, for 5 minutes",
    "cache-write-1h-tokens": "of the writes, for an hour",
    "reasoning-tokens": "of the output, reasoning",
    "audio-input-tokens": "of the input, audio",
    "image-input-tokens": "of the input, images",
    "audio-output-tokens": "of the output, audio",
}


class Moment(click.ParamType[int]):
    """A UTC day (`2026-05-01`) or instant (`2026-05-01T12:30:00Z`), as microseconds."""

    name = "date"

    def __init__(self, *, end_of_day: bool = False) -> None:
        self._days = timedelta(days=1 if end_of_day else 0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            day = datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
            return to_us(day + self._days)
        except ValueError:
            pass
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date such as 2026-05-01.", param, ctx)
        return to_us(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


class Assignment(click.ParamType[tuple[str, str]]):
    """`NAME=VALUE`, such as `web_search=0.01`."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        name, equals, said = str(value).partition("=")
        if not (name and equals and said):
            self.fail(f"{value!r} is not of the form web_search=0.01.", param, ctx)
        return name, said


def described_options(
    named: dict[str, str], kind: Any, **settings: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, meaning in reversed(named.items()):
            sentence = meaning[0].upper() + meaning[1:] + "."
            command = click.option(f"--{name}", type=kind, help=sentence, **settings)(command)
        return command

    return add


workspace_option = click.option("--workspace", metavar="SLUG", help="Only this workspace.")
from_option = click.option(
    "--from",
    "start",
    type=Moment(),
    required=True,
    metavar="DATE",
    help="From the start of this UTC day.",
)
to_option = click.option(
    "--to",
    "end",
    type=Moment(end_of_day=True),
    required=True,
    metavar="DATE",
    help="To the end of this UTC day.",
)


def described_call(provider: str, model: str, said: dict[str, Any]) -> Event:
    """The event that such a call would be."""
    at, tier, latency_ms = said.pop("at"), said.pop("tier"), said.pop("latency_ms")
    try:
        tool_calls = {name: int(count) for name, count in said.pop("tools")}
        tokens = to_buckets(WireEvent(provider=provider, model=model, **said))
    except TokensDisagree as error:
        raise click.UsageError(f"{error}.") from None
    except ValueError:
        raise click.UsageError("--tool takes a count, such as web_search=2.") from None
    now = SystemClock().now_us()
    return Event(
        id="",
        content_digest=b"",
        workspace_id=WorkspaceId(""),
        project_id=ProjectId(""),
        occurred_at=now if at is None else at,
        received_at=now,
        event_type="usage",
        status="success",
        provider=provider,
        model=model,
        tokens=tokens,
        usage_quality="final",
        service_tier=tier,
        server_tool_calls=tool_calls,
        latency_ms=latency_ms,
    )


def period_between(start: int, end: int) -> Period:
    if end <= start:
        raise click.UsageError("--to must not be before --from.")
    return Period(start, end)
