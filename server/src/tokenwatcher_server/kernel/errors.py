"""One error type for everything a caller can be told; it knows no HTTP.

`code` is stable and public (UPPER_SNAKE); `web/errors.py` gives each kind its status.
"""

from collections.abc import Sequence
from enum import Enum

import msgspec


class Kind(Enum):
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate limited"
    UNAVAILABLE = "unavailable"


class Issue(msgspec.Struct, frozen=True):
    """One thing wrong with the input: where (`events[3].inputTokens`) and what."""

    path: str
    message: str


class AppError(Exception):
    """Something the caller can act on.

    `retry_after` is in whole seconds; `most` is the limit on requests that was passed.
    `str(error)` is safe to show: no secret, path or SQL.
    """

    def __init__(
        self,
        kind: Kind,
        code: str,
        message: str,
        *,
        issues: Sequence[Issue] = (),
        retry_after: int | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.issues = tuple(issues)
        self.retry_after = retry_after
        self.most = most


class InstanceRefused(Exception):
    """The instance can't be used as it is; the message tells the operator what to do."""


def invalid(message: str, *issues: Issue, code: str = "INVALID_INPUT") -> AppError:
    return AppError(Kind.INVALID, code, message, issues=issues)


def not_found(message: str = "There is no such thing here.") -> AppError:
    return AppError(Kind.NOT_FOUND, "NOT_FOUND", message)


def unavailable(message: str, *, retry_after: int = 1) -> AppError:
    return AppError(Kind.UNAVAILABLE, "UNAVAILABLE", message, retry_after=retry_after)
