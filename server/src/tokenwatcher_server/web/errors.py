"""Every error answer: RFC 9457 problem+json, or a page that says the same to a browser."""

from http import HTTPStatus
from typing import Any

import msgspec

from tokenwatcher_server.kernel.errors import AppError, Kind

STATUS = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.TIMEOUT: 408,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED: 415,
    Kind.RATE_LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}
PROBLEM_JSON = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The body of every error answer. `error` repeats the detail for older clients."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    code: str
    request_id: str
    issues: list[Any] = []


def problem_of(error: AppError, request_id: str) -> Problem:
    return problem(STATUS[error.kind], error.code, error.message, request_id, list(error.issues))


def problem(
    status: int, code: str, message: str, request_id: str, issues: list[Any] | None = None
) -> Problem:
    return Problem(
        type=f"urn:tokenwatcher:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=message,
        error=message,
        code=code,
        request_id=request_id,
        issues=issues or [],
    )


def headers_of(error: AppError) -> dict[str, str]:
    """The headers an error answer needs beside its body."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
        if error.most is not None:
            headers["ratelimit-limit"] = str(error.most)
            headers["ratelimit-remaining"] = "0"
            headers["ratelimit-reset"] = str(error.retry_after)
    if error.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def internal(request_id: str) -> Problem:
    return problem(
        500, "INTERNAL_ERROR", "Something went wrong here; the log has the details.", request_id
    )


def method_not_allowed(request_id: str) -> Problem:
    return problem(405, "METHOD_NOT_ALLOWED", "This method is not allowed here.", request_id)
