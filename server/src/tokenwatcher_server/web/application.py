"""The ASGI application: the framework with our errors, inside the envelope."""

from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.openapi.config import OpenAPIConfig
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR

from tokenwatcher_server import __version__
from tokenwatcher_server.events.store import QuestionTooLong, StoreUnavailable
from tokenwatcher_server.ingest.pipeline import Ingest
from tokenwatcher_server.kernel.errors import AppError, Kind, unavailable
from tokenwatcher_server.observability.logs import logger
from tokenwatcher_server.web.auth import SIGN_IN_AGAIN, principal_of
from tokenwatcher_server.web.csrf import content_type_of
from tokenwatcher_server.web.error_page import error_page, wants_page
from tokenwatcher_server.web.errors import (
    PROBLEM_JSON,
    Problem,
    headers_of,
    internal,
    problem,
    problem_of,
)
from tokenwatcher_server.web.ingest_endpoint import ingest_handlers
from tokenwatcher_server.web.middleware.envelope import Application, Envelope
from tokenwatcher_server.web.middleware.security_headers import CSP_REPORTS
from tokenwatcher_server.web.pages.viewer import SignInNeeded, to_sign_in
from tokenwatcher_server.web.routes import ROUTES
from tokenwatcher_server.web.services import Services
from tokenwatcher_server.web.wrong_input import wrong_input

LARGEST_DASHBOARD_BODY = 1_000_000
_CODES = {
    400: "INVALID_INPUT",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}
_DETAILS = {
    404: "There is nothing here.",
    405: "This method is not allowed here.",
    413: f"The body is larger than {LARGEST_DASHBOARD_BODY:,} bytes.",
}
_UNREADABLE = "The request can't be understood."

AnyRequest = Request[Any, Any, Any]


class _Framework(Litestar):
    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        # without this, pydantic and attrs are imported wherever they happen to be installed,
        # which doubles the time that the framework takes to start
        return [*plugins, MsgspecDIPlugin()]


def build_application(services: Services, ingest: Ingest) -> Application:
    """Everything the server answers, as one ASGI callable."""
    framework = _Framework.from_config(
        AppConfig(
            route_handlers=list(ROUTES),
            dependencies={"principal": Provide(principal_of)},
            state=State({"services": services}),
            exception_handlers={
                AppError: _on_app_error,
                HTTPException: _on_http_exception,
                StoreUnavailable: _on_store_unavailable,
                SignInNeeded: _on_sign_in_needed,
                QuestionTooLong: _on_question_too_long,
                UnicodeDecodeError: _on_malformed,
                RecursionError: _on_malformed,
                msgspec.DecodeError: _on_malformed,
                HTTP_500_INTERNAL_SERVER_ERROR: _on_anything_else,
            },
            openapi_config=OpenAPIConfig(title="TokenWatcher", version=__version__, path="/-"),
            logging_config=None,
            request_max_body_size=LARGEST_DASHBOARD_BODY,
        )
    )
    raw = {
        **ingest_handlers(services.settings, services.keys, services.limits, ingest),
        CSP_REPORTS: services.violations.receive,
    }
    return Envelope(framework, raw, services.settings)


def _answer(
    request: AnyRequest, found: Problem, headers: dict[str, str] | None = None
) -> Response[Any]:
    if wants_page(request):
        return error_page(request, found, headers or {})
    return Response(
        msgspec.json.encode(found),
        status_code=found.status,
        media_type=PROBLEM_JSON,
        headers=headers,
    )


def _on_app_error(request: AnyRequest, error: AppError) -> Response[Any]:
    if error.kind is Kind.UNAUTHENTICATED and wants_page(request):
        return to_sign_in(request, again=error.code == SIGN_IN_AGAIN)
    return _answer(request, problem_of(error, _request_id(request)), headers_of(error))


def _on_sign_in_needed(request: AnyRequest, error: SignInNeeded) -> Response[Any]:
    return to_sign_in(request, again=error.again)


def _on_store_unavailable(request: AnyRequest, error: StoreUnavailable) -> Response[Any]:
    logger().error("a question can't be answered", reason=str(error))
    found = unavailable("The events can't be read now; try again soon.", retry_after=5)
    return _on_app_error(request, found)


def _on_question_too_long(request: AnyRequest, _error: QuestionTooLong) -> Response[Any]:
    logger().warning("a question took too long and was ended", path=request.scope["path"])
    return _on_app_error(
        request,
        AppError(
            Kind.UNAVAILABLE,
            "QUERY_TIMEOUT",
            "The question took too long and was ended: ask for a shorter period or fewer groups.",
        ),
    )


def _on_http_exception(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """The framework's own refusals: no such route, method, or unreadable input."""
    status = error.status_code
    if status >= 500:
        return _on_anything_else(request, error)
    if isinstance(error.__cause__, SerializationException):
        return _on_malformed(request, error)
    issues = wrong_input(error) if isinstance(error, ValidationException) else []
    detail = "The input has invalid fields." if issues else _DETAILS.get(status, _UNREADABLE)
    found = problem(
        status, _CODES.get(status, "INVALID_INPUT"), detail, _request_id(request), issues
    )
    return _answer(request, found, dict(error.headers or {}))


def _on_malformed(request: AnyRequest, _error: Exception) -> Response[Any]:
    if content_type_of(request) != "application/json":
        found = problem(415, "NOT_JSON", "Send application/json.", _request_id(request))
        return _answer(request, found)
    found = problem(
        400, "MALFORMED_JSON", "The body is not well-formed JSON in UTF-8.", _request_id(request)
    )
    return _answer(request, found)


def _on_anything_else(request: AnyRequest, error: Exception) -> Response[Any]:
    logger().error(
        "a request failed",
        path=request.scope["path"],
        exc_info=error,
    )
    return _answer(request, internal(_request_id(request)))


def _request_id(request: AnyRequest) -> str:
    return str(request.scope["state"].get("request_id", ""))
