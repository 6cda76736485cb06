"""Why a call failed, told without anything that was asked or answered.

Providers put what a model generated into the bodies of their errors, so only the message that
they wrote is taken. Of any other exception it is the first line, where libraries say what
happened; what they were working on comes after.
"""

from __future__ import annotations

from typing import Any

from tokenwatcher.masking import mask
from tokenwatcher.usage.peek import count, items, peek, text
from tokenwatcher.usage.reading import Failure

_LONGEST_LINE = 300


def failure_of(error: BaseException | str) -> Failure:
    """Describe an exception, or take a text of the app's for its message."""
    return describe(error) if isinstance(error, BaseException) else Failure("error", mask(error))


def describe(error: BaseException) -> Failure:
    """Describe an exception of any library. Its message has credentials masked."""
    said = _said_by_provider(error)
    message = text(said, "message", "Message")
    if message is None and said is None:
        message = _first_line(error)
    return Failure(
        type=type(error).__name__,
        message=mask(message) if message else None,
        status=_status(error),
        code=text(said, "code", "Code", "type", "status") or text(error, "code", "status"),
        request_id=text(error, "request_id"),
    )


def failure_in(answer: Any) -> Failure | None:
    """Find the error in an answer that came as a success but holds nothing else."""
    error = peek(answer, "error")
    if error is None or peek(answer, "usage") is not None or items(answer, "choices"):
        return None
    message = error if isinstance(error, str) else text(error, "message")
    code = text(error, "code", "type")
    if message is None and code is None:
        return None
    return Failure(
        type=code or "error",
        message=mask(message) if message else None,
        status=count(error, "status"),
        code=code,
    )


def _said_by_provider(error: BaseException) -> Any:
    """Find the provider's own error object: OpenAI's and Anthropic's, botocore's, Google's."""
    for source, name in (
        (peek(error, "body"), "error"),
        (peek(error, "response"), "Error"),
        (peek(error, "details"), "error"),
    ):
        if isinstance(source, dict):
            inner = source.get(name)
            return inner if isinstance(inner, dict) else source
    return None


def _first_line(error: BaseException) -> str | None:
    try:
        lines = str(error).splitlines()
    except Exception:  # noqa: BLE001  # another library's __str__ may raise anything
        return None
    return lines[0][:_LONGEST_LINE] if lines else None


def _status(error: BaseException) -> int | None:
    response = peek(error, "response")
    status = count(error, "status_code") or count(response, "status_code")
    status = status or count(peek(response, "ResponseMetadata"), "HTTPStatusCode")
    status = status or count(error, "code", "status")
    return status if status is not None and 100 <= status <= 599 else None
