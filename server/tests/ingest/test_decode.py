"""Bodies of every kind: good ones become events, bad ones name every field that is wrong."""

import json
from typing import Any

import pytest

from tokenwatcher_server.ingest.decode import decode_batch, decode_event
from tokenwatcher_server.kernel.errors import AppError, Kind

NOW_US = 1_800_000_000_000_000
GOOD: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o",
    "inputTokens": 12,
    "outputTokens": 3,
}


def body_of(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def refusal_of(body: bytes) -> AppError:
    with pytest.raises(AppError) as refused:
        decode_event(body, NOW_US)
    return refused.value


def batch(events: list[Any]) -> bytes:
    return json.dumps({"events": events}).encode()


def test_a_good_event_is_decoded_with_its_buckets() -> None:
    decoded = decode_event(body_of(cacheReadTokens=2), NOW_US)
    assert decoded.events[0].provider == "openai"
    assert decoded.tokens[0].input_text == 10
    assert decoded.unknown_fields == 0


def test_a_time_without_an_offset_is_utc() -> None:
    times = ("2026-05-01T12:00:00", "2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00")
    decoded = [decode_event(body_of(timestamp=time), NOW_US).occurred_at for time in times]
    assert decoded == [[1_777_636_800_000_000]] * 3


def test_an_event_without_a_time_occurred_when_it_came() -> None:
    assert decode_event(body_of(), NOW_US).occurred_at == [NOW_US]


def test_an_escaped_quote_can_not_hide_a_repeated_key() -> None:
    body = body_of(userId='a"b').replace(b'\\"', b"\\u0022")[:-1] + b', "model": "other"}'
    assert refusal_of(body).issues[0].path == "model"


def test_unknown_fields_are_ignored_and_counted() -> None:
    assert decode_event(body_of(pricing={"rate": 0}, workspace_id="x"), NOW_US).unknown_fields == 2


@pytest.mark.parametrize("field", ["inputTokens", "outputTokens", "cacheReadTokens", "latencyMs"])
@pytest.mark.parametrize(
    "value",
    [True, "12", "", "12abc", -1, -(2**63), 2**53, 2**63 - 1, 2**64, 1.5, [], {}, "NaN"],
)
def test_a_count_that_is_no_count_is_named(field: str, value: object) -> None:
    error = refusal_of(body_of(**{field: value}))
    assert [issue.path for issue in error.issues] == [field]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "1e", "01", "+1", "0x1"])
def test_numbers_outside_json_are_refused(text: str) -> None:
    body = body_of().replace(b": 12", f": {text}".encode())
    assert refusal_of(body).code in {"MALFORMED_JSON", "INVALID_INPUT"}


def test_five_thousand_digits_are_refused_at_once() -> None:
    refusal_of(body_of().replace(b": 12", b": " + b"9" * 5000))


def test_any_number_of_digits_in_a_field_that_nobody_knows_is_ignored() -> None:
    body = body_of()[:-1] + b', "counter": ' + b"9" * 5000 + b', "ratio": 1e99999}'
    assert decode_event(body, NOW_US).unknown_fields == 2


@pytest.mark.parametrize(
    ("more", "path"),
    [
        (b', "model": "b"', "events[1].model"),
        (b', "tags": {"a": 1, "a": 2}', "events[1].tags.a"),
    ],
)
def test_a_key_given_twice_is_named_by_its_path(more: bytes, path: str) -> None:
    good = body_of()
    body = b'{"events": [' + good + b", " + good[:-1] + more + b"}]}"
    with pytest.raises(AppError) as refused:
        decode_batch(body, NOW_US, most_events=10)
    assert [issue.path for issue in refused.value.issues] == [path]


@pytest.mark.parametrize("field", ["provider", "model", "inputTokens", "outputTokens"])
def test_a_missing_or_null_required_field_is_named(field: str) -> None:
    missing = {name: value for name, value in GOOD.items() if name != field}
    for document in (missing, {**GOOD, field: None}):
        error = refusal_of(json.dumps(document).encode())
        assert [issue.path for issue in error.issues] == [field]
        with pytest.raises(AppError) as refused:
            decode_batch(batch([GOOD, document]), NOW_US, most_events=10)
        assert [issue.path for issue in refused.value.issues] == [f"events[1].{field}"]


def test_a_call_without_counts_may_leave_them_out() -> None:
    document = {"provider": "openai", "model": "gpt-4o", "usageQuality": "missing"}
    decode_event(json.dumps(document).encode(), NOW_US)


def test_an_error_event_needs_its_type_and_no_counts() -> None:
    document = {"provider": "openai", "model": "gpt-4o", "eventType": "error"}
    assert refusal_of(json.dumps(document).encode()).issues[0].path == "errorType"
    decode_event(json.dumps({**document, "errorType": "timeout"}).encode(), NOW_US)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"{",
        b"{}",
        b'{"provider":"\xff"}',
        b'{"provider":"\xc0\xaf"}',
        b'{"provider":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        json.dumps(GOOD).encode("utf-16"),
        json.dumps(GOOD).encode() + b"x",
        b"[" * 100_000,
        b'{"tags":' * 50_000,
        b'{"provider":"a\0b"}',
    ],
)
def test_what_is_not_one_json_object_in_utf8_is_refused(body: bytes) -> None:
    refusal_of(body)


@pytest.mark.parametrize(
    "body",
    [
        body_of()[:-1] + b', "inputTokens": 12}',
        body_of()[:-1] + b', "\\u0069nputTokens": 99}',
        body_of()[:-1] + b', "inputTokens" : 99}',
        body_of()[:-1] + b', "tags": {"a": 1, "a": 2}}',
    ],
)
def test_a_key_given_twice_is_refused(body: bytes) -> None:
    error = refusal_of(body)
    assert "twice" in error.issues[0].message


def test_colons_inside_texts_are_no_keys() -> None:
    decode_event(body_of(tags={'quo"te": ': 'a": b'}, userId='"x" : "y"'), NOW_US)


@pytest.mark.parametrize("field", ["provider", "model", "userId", "responseId", "errorMessage"])
def test_a_nul_character_is_named_before_it_reaches_a_database(field: str) -> None:
    assert refusal_of(body_of(**{field: "a\0b"})).issues[0].path == field


def test_a_nul_in_a_tag_is_named() -> None:
    assert refusal_of(body_of(tags={"a\0": "x"})).issues[0].path == "tags"
    assert refusal_of(body_of(tags={"a": "\0"})).issues[0].path == "tags"


def test_an_escaped_backslash_before_u0000_is_plain_text() -> None:
    decoded = decode_event(body_of(userId="\\u0000"), NOW_US)
    assert decoded.events[0].user_id == "\\u0000"


@pytest.mark.parametrize(
    "text", ["😀" * 200, "İ" * 200, "e\u0301" * 100, "<script>", "{{7*7}}", "'; DROP", "=cmd()"]
)
def test_text_is_kept_to_the_letter(text: str) -> None:
    assert decode_event(body_of(userId=text), NOW_US).events[0].user_id == text
    assert refusal_of(body_of(userId=text + "x" * 201)).issues[0].path == "userId"


@pytest.mark.parametrize(
    "tags",
    [
        {"a": [1]},
        {"a": {}},
        {"k" * 61: 1},
        {"": 1},
        {"a": "v" * 301},
        {"a": 10**400},
        {str(n): n for n in range(21)},
    ],
)
def test_tags_outside_their_limits_are_named(tags: dict[str, object]) -> None:
    assert refusal_of(body_of(tags=tags)).issues[0].path == "tags"


@pytest.mark.parametrize(
    "identifier", ["short", "x" * 65, "with space", "slash/slash", "a" * 8 + "\n"]
)
def test_an_id_outside_its_alphabet_is_named(identifier: str) -> None:
    assert refusal_of(body_of(id=identifier)).issues[0].path == "id"


@pytest.mark.parametrize(
    "timestamp",
    ["1999-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "yesterday", 5, "0001-01-01T00:00:00+23:59"],
)
def test_a_time_far_off_is_named(timestamp: object) -> None:
    assert refusal_of(body_of(timestamp=timestamp)).issues[0].path == "timestamp"


def test_every_bad_event_of_a_batch_is_named_by_its_index() -> None:
    events = [GOOD, {**GOOD, "inputTokens": -1}, GOOD, {**GOOD, "model": ""}, {**GOOD, "tags": 5}]
    with pytest.raises(AppError) as refused:
        decode_batch(batch(events), NOW_US, most_events=10)
    assert [issue.path for issue in refused.value.issues] == [
        "events[1].inputTokens",
        "events[3].model",
        "events[4].tags",
    ]


def test_every_wrong_field_of_an_event_is_named() -> None:
    wrong = {"model": "", "inputTokens": "12", "outputTokens": -1, "tags": {"a": [1]}, "id": 5}
    paths = {"provider", *wrong}
    assert {issue.path for issue in refusal_of(json.dumps(wrong).encode()).issues} == paths
    with pytest.raises(AppError) as refused:
        decode_batch(batch([GOOD, wrong]), NOW_US, most_events=10)
    assert {issue.path for issue in refused.value.issues} == {f"events[1].{path}" for path in paths}


@pytest.mark.parametrize("amount", ["0", "0.0123456789012345", "1e-7", "1000000", 0.25, 3])
def test_what_a_provider_charged_is_decimal_text_or_a_number(amount: object) -> None:
    decode_event(body_of(reportedCostUsd=amount), NOW_US)


@pytest.mark.parametrize(
    "amount",
    ["", " 1", "1_000", "٣", "-1", "+1", "NaN", "1e999", "1000001", "0x1", ".5", "1.", True, -0.5],
)
def test_what_a_provider_charged_is_named_where_it_is_no_amount(amount: object) -> None:
    assert refusal_of(body_of(reportedCostUsd=amount)).issues[0].path == "reportedCostUsd"


@pytest.mark.parametrize("amount", ["5", True, -1, 1_000_000.01])
def test_a_stated_cost_is_a_number_within_its_limits(amount: object) -> None:
    assert refusal_of(body_of(totalCostUsd=amount)).issues[0].path == "totalCostUsd"


def test_broken_rules_of_a_batch_are_named_by_their_index() -> None:
    events = [GOOD, {**GOOD, "cacheReadTokens": 13}, {**GOOD, "reasoningTokens": 4}]
    with pytest.raises(AppError) as refused:
        decode_batch(batch(events), NOW_US, most_events=10)
    assert [issue.path for issue in refused.value.issues] == [
        "events[1].cacheReadTokens",
        "events[2].reasoningTokens",
    ]


@pytest.mark.parametrize("document", [{}, {"events": {}}, {"events": None}, {"events": []}])
def test_an_envelope_without_events_is_refused(document: object) -> None:
    with pytest.raises(AppError) as refused:
        decode_batch(json.dumps(document).encode(), NOW_US, most_events=10)
    assert "events" in str(refused.value.issues)


def test_more_events_than_a_batch_may_hold_are_too_many() -> None:
    decode_batch(batch([GOOD] * 10), NOW_US, most_events=10)
    for extra in (GOOD, {}):
        with pytest.raises(AppError) as refused:
            decode_batch(batch([GOOD] * 10 + [extra]), NOW_US, most_events=10)
        assert refused.value.code == "BATCH_TOO_LARGE"


def test_an_answer_names_at_most_a_hundred_issues() -> None:
    with pytest.raises(AppError) as refused:
        decode_batch(batch([{}] * 500), NOW_US, most_events=1000)
    assert len(refused.value.issues) == 100


WIDE = {
    "empty lists": (b'"x": [' + b",".join([b"[]"] * 300_000) + b"]", 1),
    "keys nobody knows": (b",".join(b'"k%d": 1' % number for number in range(90_000)), 90_000),
    "one long key": (b'"' + b"k" * 900_000 + b'": 1', 1),
    "a repeated key far within": (b'"x": [' + b'{"a": 1},' * 60_000 + b'{"a": 1, "a": 2}]', None),
    "deep lists": (b'"x": ' + b"[" * 100_000 + b"]" * 100_000, None),
}
"""What a body may hold besides the fields we know, and how many of those nobody knows."""


@pytest.mark.parametrize("shape", WIDE)
def test_a_body_of_a_strange_shape_is_taken_or_refused_and_never_fails(shape: str) -> None:
    more, unknown = WIDE[shape]
    body = body_of()[:-1] + b", " + more + b"}"
    if unknown is None:
        assert refusal_of(body).kind is Kind.INVALID
    else:
        assert decode_event(body, NOW_US).unknown_fields == unknown
