"""Bytes to wire events, or every reason why not.

The good path decodes straight to structs. Only a refused body is looked at again, event by
event, so that the answer can name each bad field.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.ingest.rules import Broken, examine
from tokenwatcher_server.ingest.wire import KNOWN_FIELDS, RawBatch, WireBatch, WireEvent
from tokenwatcher_server.ingest.wrong_fields import UNREADABLE, issues_of, joined, wrong_fields
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind, invalid

MOST_ISSUES = 100

_event_decoder = msgspec.json.Decoder(WireEvent)
_batch_decoder = msgspec.json.Decoder(WireBatch)
_raw_batch_decoder = msgspec.json.Decoder(RawBatch)
_canonical_encoder = msgspec.json.Encoder(order="deterministic")

_QUOTES_OF_EVENTS = 2
_ESCAPE = b"\\u00"
_ESCAPED_NUL = b"\\u0000"


class Decoded(msgspec.Struct, frozen=True):
    """Good events in the order sent, and what was worked out of each beside it."""

    events: list[WireEvent]
    tokens: list[Tokens]
    occurred_at: list[int]
    """Microseconds since 1970; the time of receipt where the caller gave none."""
    canonical: list[bytes]
    """What the caller said, the same bytes for a retry whatever the order of its keys."""
    unknown_fields: int
    """How many fields this server doesn't know were ignored."""


def decode_event(body: bytes, now_us: int) -> Decoded:
    """Decode the body of a single event; raises AppError naming what is wrong with it."""
    try:
        event = _event_decoder.decode(body)
    except UNREADABLE as error:
        _refuse(wrong_fields(body, error))
    tokens, occurred_at, broken = examine(event, now_us, nul_possible=_ESCAPED_NUL in body)
    if broken:
        _refuse(_as_issues(broken, ""))
    canonical = canonical_form(event)
    unknown = _look_at_keys(body, canonical, single=True)
    return Decoded([event], [tokens], [occurred_at], [canonical], unknown)


def decode_batch(body: bytes, now_us: int, *, most_events: int) -> Decoded:
    """Decode `{"events": [...]}`; one bad event refuses all, and every bad one is named."""
    try:
        events = _batch_decoder.decode(body).events
    except UNREADABLE as error:
        _refuse_batch(body, error, now_us, most_events)
    _check_size(len(events), most_events)
    nul_possible = _ESCAPED_NUL in body
    examined = [examine(event, now_us, nul_possible=nul_possible) for event in events]
    tokens, occurred_at, broken = map(list, zip(*examined, strict=True))
    if any(broken):
        _refuse(_issues_of_batch(broken))
    canonical = list(map(canonical_form, events))
    unknown = _look_at_keys(body, b"".join(canonical), single=False)
    return Decoded(events, tokens, occurred_at, canonical, unknown)


def _issues_of_batch(broken: Sequence[Sequence[Broken]]) -> list[Issue]:
    return [
        issue
        for position, of_event in enumerate(broken)
        for issue in _as_issues(of_event, f"events[{position}]")
    ]


def _check_size(count: int, most_events: int) -> None:
    if count == 0:
        _refuse([Issue("events", "a batch needs at least one event")])
    if count > most_events:
        raise AppError(
            Kind.TOO_LARGE,
            "BATCH_TOO_LARGE",
            f"The batch has {count} events; at most {most_events} are taken at once.",
        )


def _refuse_batch(body: bytes, error: Exception, now_us: int, most_events: int) -> NoReturn:
    """Judge every event by itself, to name all that is wrong and not only the first."""
    try:
        raws = _raw_batch_decoder.decode(body).events
    except UNREADABLE as envelope_error:
        _refuse(issues_of(envelope_error))
    _check_size(len(raws), most_events)
    issues: list[Issue] = []
    for position, raw in enumerate(raws):
        issues += _judge(raw, f"events[{position}]", now_us)
        if len(issues) >= MOST_ISSUES:
            break
    _refuse(issues or issues_of(error))


def _judge(raw: msgspec.Raw, path: str, now_us: int) -> Sequence[Issue]:
    try:
        event = _event_decoder.decode(raw)
    except UNREADABLE as error:
        return wrong_fields(raw, error, path)
    return _as_issues(examine(event, now_us, nul_possible=True)[2], path)


def _as_issues(broken: Sequence[Broken], path: str) -> list[Issue]:
    return [Issue(joined(path, field), message) for field, message in broken]


def _refuse(issues: Sequence[Issue]) -> NoReturn:
    raise invalid("The input has invalid fields; nothing was stored.", *issues[:MOST_ISSUES])


canonical_form = _canonical_encoder.encode
"""An event as JSON without defaults, its keys in one order."""


def _look_at_keys(body: bytes, canonical: bytes, *, single: bool) -> int:
    """Refuse an object with the same key twice; count the fields that nobody knows.

    Most bodies hold exactly the keys and texts that were decoded: then they have as many quotes
    as the canonical form, and nothing came twice. An escape could stand for a quote, so a body
    with escapes is always looked at.
    """
    decoded = canonical.count(b'"') + (0 if single else _QUOTES_OF_EVENTS)
    if body.count(b'"') == decoded and _ESCAPE not in body:
        return 0
    document = _read_with_care(body)
    events: list[dict[str, object]] = [document] if single else document["events"]
    return sum(len(event.keys() - KNOWN_FIELDS) for event in events)


def _read_with_care(body: bytes) -> Any:
    """Read a body again, in a way that sees a key that came twice, and refuse it by its path."""
    try:
        # numbers stay text: what nobody knows may be longer than Python turns into an integer
        document = json.loads(
            body, object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=str
        )
    except RecursionError:
        raise AppError(Kind.INVALID, "MALFORMED_JSON", "The JSON is nested too deeply.") from None
    if isinstance(document, _Repeated):
        _refuse([Issue(document[:100], "the same key is given twice in one object")])
    return document


class _Repeated(str):
    """Stands for an object in which a key came twice: the path to that key."""

    __slots__ = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repeated:
    members = dict(pairs)
    if len(members) != len(pairs):
        return _Repeated(
            next(key for key, times in Counter(k for k, _ in pairs).items() if times > 1)
        )
    for key, value in pairs:
        if isinstance(value, _Repeated):
            return _Repeated(f"{key}.{value}")
        for position, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, _Repeated):
                return _Repeated(f"{key}[{position}].{item}")
    return members
