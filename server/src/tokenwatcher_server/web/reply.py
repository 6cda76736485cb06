"""A whole answer as a value, for what is served without the framework."""

from collections.abc import Mapping, Sequence

import msgspec

from tokenwatcher_server.web.errors import PROBLEM_JSON, Problem

RawHeaders = Sequence[tuple[bytes, bytes]]


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Status, body and the headers of this answer alone; what all answers carry comes on top."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: RawHeaders = ()


def problem_reply(problem: Problem, headers: Mapping[str, str] | None = None) -> Reply:
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Reply(problem.status, msgspec.json.encode(problem), PROBLEM_JSON, raw)
