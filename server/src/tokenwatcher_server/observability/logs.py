"""Structured logs to standard error, with every secret taken out at the sink."""

import io
import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

_SECRET_NAMES = re.compile(
    r"authorization|cookie|password|passwd|secret|token|api_?key|raw_?key|prompt|completion", re.I
)
_SECRET_TEXTS = re.compile(
    r"tw_(?:live|test|dev|read)_[A-Za-z0-9]+"
    r"|\b(?:sk|pk|gsk|xai)-[A-Za-z0-9_-]{8,}"
    r"|(?<=Bearer )\S+"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
)
MASK = "***"


def configure(*, json: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Set up logging once, at the start of a process."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # before `redact`, which must see its text
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Unfailing(stream or sys.stderr)),
        cache_logger_on_first_use=False,
    )


class _Unfailing(io.StringIO):
    """A full disk under the log must not fail what is being logged, a 503 least of all."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def logger() -> structlog.typing.FilteringBoundLogger:
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Mask secrets by the name of their field and by their look."""
    for name, value in event.items():
        event[name] = MASK if _SECRET_NAMES.search(name) else _clean(value)
    return event


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _SECRET_TEXTS.sub(MASK, value)
    if isinstance(value, dict):
        return {
            name: MASK if _SECRET_NAMES.search(str(name)) else _clean(inner)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    return value
