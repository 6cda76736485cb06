"""Structured logs to standard error, with the id of the request, and every secret taken out."""

import io
import logging
import sys
import threading
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from tokenwatcher_server.observability.redaction import (
    Redaction,
    error_text,
    whole_error_text,
)

request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""Of the request that is being answered; set where it comes in."""

_TOLD_BY_ITS_CALLER: Final = ("urllib3.connectionpool", "clickhouse_connect")
"""Libraries that warn of every failure before they raise it."""


def configure(
    *,
    json: bool,
    secrets: Iterable[str] = (),
    whole_errors: bool = False,
    level: int = logging.INFO,
    stream: TextIO | None = None,
) -> None:
    """Set up logging once, at the start of a process; `secrets` are never written.

    `whole_errors` keeps the messages of all errors, which may quote what was sent.
    """
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(
                whole_error_text if whole_errors else error_text
            ),
            Redaction(secrets),  # the last step: it must see every text
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Unfailing(stream or sys.stderr)),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_FromLibraries()], level=logging.WARNING, force=True)
    for library in _TOLD_BY_ITS_CALLER:
        logging.getLogger(library).setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_crash
    threading.excepthook = _on_thread_crash


def logger() -> structlog.typing.FilteringBoundLogger:
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


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


class _FromLibraries(logging.Handler):
    """What libraries log takes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        logger().log(
            record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info
        )


def _add_request_id(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    known = request_id.get()
    if known is not None:
        event.setdefault("request_id", known)
    return event


def _on_crash(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    if isinstance(error, Exception):
        logger().critical("the process failed", exc_info=(kind, error, place))
    else:
        sys.__excepthook__(kind, error, place)


def _on_thread_crash(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        logger().error("a thread failed", exc_info=arguments.exc_value)
