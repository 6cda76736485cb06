"""AWS's library (boto3), for the runtime of Bedrock.

Clients of every service are made from one class, and one method of it makes each call.
"""

from __future__ import annotations

import json
from typing import Any

from tokenwatcher.begun import Call
from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.stream import watched
from tokenwatcher.usage.peek import peek, text
from tokenwatcher.wrapping.provider import Asked, Method, Provider

_PAID = frozenset({"Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"})
_LONGEST_BODY = 4 * 1024 * 1024
"""Of a longer body (a picture) the counts in the headers are taken."""


def read(
    _client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _settings: Settings
) -> Asked | None:
    """Read the name of the operation and its parameters; those of other services don't concern us."""
    operation, given = (*args, *kwargs.values())[:2]
    if operation not in _PAID or "modelId" not in given:
        return None
    tier = given.get("serviceTier")
    tier = tier if isinstance(tier, str) else text(tier, "type")
    return Asked(Facts("bedrock", text(given, "modelId"), tier), body=given)


def answered(call: Call, answer: Any, asked: Asked) -> Any:
    """Record an answer; the body of an invocation, when the app has read it."""
    body = peek(answer, "body")
    raw = getattr(body, "_raw_stream", None)
    if raw is None or not hasattr(body, "read"):
        return watched(call, answer, asked.body)
    body._raw_stream = ReadBody(raw, call, answer["ResponseMetadata"])  # noqa: SLF001  # its one door
    return answer


class ReadBody:
    """Stands for the source of a body: sees what the app reads of it, and records at its end."""

    def __init__(self, raw: Any, call: Call, metadata: Any) -> None:
        self._raw = raw
        self._call: Call | None = call
        self._metadata = metadata
        self._seen = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __del__(self) -> None:
        self._end()

    def read(self, amount: int | None = None) -> Any:
        """Read as the source does; nothing more, or all at once, is the end of it."""
        try:
            piece = self._raw.read(amount)
        except BaseException:
            self._end()
            raise
        self._see(piece)
        if amount is None or amount < 0 or (not piece and amount > 0):
            self._end()
        return piece

    def readinto(self, buffer: Any) -> Any:
        number = self._raw.readinto(buffer)
        self._see(bytes(memoryview(buffer)[:number]))
        if not number and len(buffer):
            self._end()
        return number

    def readlines(self, *args: Any) -> Any:
        lines = self._raw.readlines(*args)
        self._see(b"".join(lines))
        self._end()
        return lines

    def close(self) -> None:
        self._raw.close()
        self._end()

    def _see(self, piece: bytes) -> None:
        if len(self._seen) <= _LONGEST_BODY:
            self._seen += piece

    def _end(self) -> None:
        """Record the call, once: by what the body says, else by its headers."""
        call, self._call = self.__dict__.get("_call"), None
        if call is None:
            return
        call.answered({**_decoded(self._seen), "ResponseMetadata": self._metadata})
        self._seen.clear()


def _decoded(body: bytes | bytearray) -> dict[str, Any]:
    try:
        found = json.loads(body) if len(body) <= _LONGEST_BODY else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


PROVIDER = Provider(
    package="botocore",
    clients=frozenset({"BedrockRuntime"}),
    methods=(
        Method(
            owner="botocore.client:BaseClient",
            name="_make_api_call",
            asked=read,
            answered=answered,
        ),
    ),
)
