"""Made-up history: the same seed, end and size always give the same events.

1. Every hour of every stream is a cell, with a weight (see `rhythm.py`).
2. The wanted number of events is spread over the cells in proportion, exactly.
3. Each cell's calls pick from its stream's pools; an hour's events come in order of time.
"""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from random import Random

import msgspec

from tokenwatcher_server.demo.calls import Caller, Shape, draw_callers, draw_shapes
from tokenwatcher_server.demo.company import STREAMS, Stream
from tokenwatcher_server.demo.rhythm import HOUR_US, is_spiking, weight
from tokenwatcher_server.events.event import Event
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId

DAYS = 90
_UPLOAD_US = 700_000
"""How long after a call's end its event arrives."""

_ENTROPY = 26
"""Random bytes for each event: 10 for its id, 16 for its digest; the response id reuses them."""

_RESPONSE_PREFIXES = {"openai": "chatcmpl-", "anthropic": "msg_01"}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to make: `events` of them, the last just before `end_us`."""

    events: int
    end_us: int
    workspace_id: WorkspaceId
    projects: Mapping[str, ProjectId]
    """The project of each slug in `company.PROJECTS`."""
    days: int = DAYS
    seed: int = 7


class _Source(msgspec.Struct, frozen=True):
    """A stream with the pools that its calls are picked from."""

    stream: Stream
    workspace_id: WorkspaceId
    project_id: ProjectId
    shapes: list[Shape]
    grown_shapes: list[Shape]
    callers: list[Caller]
    response_prefix: str


class _Cell(msgspec.Struct, frozen=True, gc=False):
    source: _Source
    start_us: int
    length_us: int
    age: int
    weight: int


def history(plan: Plan) -> Iterator[list[Event]]:
    """The events, oldest first, as a list for each hour that has any."""
    rng = Random(plan.seed)  # noqa: S311 - made-up numbers need no secret source
    sources = [_source(stream, plan, rng) for stream in STREAMS]
    hours = [_cells(sources, start_us, plan, rng) for start_us in _hours(plan)]
    total = sum(cell.weight for cells in hours for cell in cells)
    passed = made = 0
    for cells in hours:
        events: list[Event] = []
        for cell in cells:
            passed += cell.weight
            due = passed * plan.events // total
            events += _calls(cell, due - made, rng)
            made = due
        if events:
            events.sort(key=attrgetter("occurred_at"))
            yield events


def _source(stream: Stream, plan: Plan, rng: Random) -> _Source:
    shapes = draw_shapes(stream, rng)
    growth = stream.growth
    return _Source(
        stream,
        plan.workspace_id,
        plan.projects[stream.project],
        shapes,
        draw_shapes(stream, rng, growth=growth.factor) if growth else shapes,
        draw_callers(stream, rng),
        _RESPONSE_PREFIXES.get(stream.provider, ""),
    )


def _hours(plan: Plan) -> range:
    today = plan.end_us // DAY_US * DAY_US
    return range(today - (plan.days - 1) * DAY_US, plan.end_us, HOUR_US)


def _cells(sources: list[_Source], start_us: int, plan: Plan, rng: Random) -> list[_Cell]:
    length_us = min(HOUR_US, plan.end_us - start_us)
    age = plan.end_us // DAY_US - start_us // DAY_US
    return [
        _Cell(
            source, start_us, length_us, age, weight(source.stream, start_us, length_us, age, rng)
        )
        for source in sources
    ]


def _calls(cell: _Cell, count: int, rng: Random) -> list[Event]:
    source, stream = cell.source, cell.source.stream
    grown = stream.growth is not None and cell.age < stream.growth.age
    shapes = rng.choices(source.grown_shapes if grown else source.shapes, k=count)
    callers = rng.choices(source.callers, k=count)
    if stream.spike and is_spiking(stream, cell.start_us, cell.age):
        callers = [Caller(stream.spike.user, caller.tags) for caller in callers]
    entropy = rng.randbytes(_ENTROPY * count)
    start_us, length_us, draw = cell.start_us, cell.length_us, rng.random
    return [
        _event(
            source, shape, caller, start_us + int(draw() * length_us), entropy[at : at + _ENTROPY]
        )
        for at, shape, caller in zip(
            range(0, _ENTROPY * count, _ENTROPY), shapes, callers, strict=True
        )
    ]


def _event(
    source: _Source, shape: Shape, caller: Caller, occurred_at: int, entropy: bytes
) -> Event:
    stream = source.stream
    text = entropy.hex()
    failed = shape.error_type is not None
    return Event(
        id=_uuid7(occurred_at, text),
        content_digest=entropy[10:],
        workspace_id=source.workspace_id,
        project_id=source.project_id,
        occurred_at=occurred_at,
        received_at=occurred_at + shape.latency_ms * 1000 + _UPLOAD_US,
        event_type="error" if failed else "usage",
        status="error" if failed else "success",
        provider=stream.provider,
        model=stream.model,
        tokens=shape.tokens,
        usage_quality="missing" if failed else "final",
        requested_model=stream.requested_model,
        service_tier=stream.service_tier,
        latency_ms=shape.latency_ms,
        time_to_first_token_ms=shape.time_to_first_token_ms,
        streaming=stream.streaming,
        user_id=caller.user_id,
        session_id=f"{caller.user_id}-{occurred_at // DAY_US}" if stream.sessions else None,
        response_id=None if failed else source.response_prefix + text[:24],
        error_type=shape.error_type,
        error_message=shape.error_message,
        tags=caller.tags,
    )


def _uuid7(instant_us: int, entropy: str) -> str:
    """A UUIDv7 of that instant with random hex digits; `uuid_utils` can't be seeded."""
    moment = f"{instant_us // 1000:012x}"
    return (
        f"{moment[:8]}-{moment[8:]}-7{entropy[:3]}-"
        f"{'89ab'[int(entropy[3], 16) & 3]}{entropy[4:7]}-{entropy[7:19]}"
    )
