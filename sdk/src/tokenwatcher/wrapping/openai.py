"""OpenAI's library, for OpenAI, Azure and every server that speaks its language."""

from __future__ import annotations

from typing import Any

from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.usage.peek import peek, text
from tokenwatcher.wrapping.hosts import Host
from tokenwatcher.wrapping.provider import Asked, Provider
from tokenwatcher.wrapping.stainless import Request, host_of_client, methods

_PAID = frozenset(
    {
        "/chat/completions",
        "/completions",
        "/responses",
        "/responses/compact",
        "/embeddings",
        "/decisions",
        "/images/generations",
        "/images/edits",
        "/images/variations",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
    }
)
_WITH_STREAM_OPTIONS = frozenset({"/chat/completions", "/completions"})
_UNFINISHED = frozenset({"queued", "in_progress"})
_AZURE_CLIENTS = ("AzureOpenAI", "AsyncAzureOpenAI")
_AZURE_TAKES_STREAM_OPTIONS_SINCE = "2024-09-01"


def read(request: Request, settings: Settings) -> Asked | None:
    """Read a request; None for one that is not paid for by its tokens."""
    method, path = request.options.method, request.path
    if method == "get":
        return _read_fetching(request)
    if method != "post" or path not in _PAID:
        return None
    host = host_of_client(request.client)
    notes = _characters(request) if path == "/audio/speech" else None
    return Asked(
        Facts(host.provider, request.model, request.service_tier, metadata=notes),
        hides_usage=request.streaming and _asks_for_usage(request, host, settings),
        counts=_is_finished if "background" in request.body else None,
    )


def _read_fetching(request: Request) -> Asked | None:
    """What runs in the background, or in a batch, tells its usage when it is asked for later."""
    folder, _, name = request.path.lstrip("/").partition("/")
    if not name or "/" in name or folder not in {"responses", "batches"}:
        return None
    counts = _is_background if folder == "responses" else _is_finished_batch
    provider = host_of_client(request.client).provider
    return Asked(Facts(provider), counts=counts, fetches=True)


def _is_finished(answer: Any) -> bool:
    return text(_response(answer), "status") not in _UNFINISHED


def _is_background(answer: Any) -> bool:
    """One that did not run in the background was recorded when it was made."""
    return peek(_response(answer), "background") is True and _is_finished(answer)


def _response(answer: Any) -> Any:
    """What has come of a stream holds the response; else the answer is the response."""
    return peek(answer, "response") or answer


def _is_finished_batch(answer: Any) -> bool:
    finished = text(answer, "status") in {"completed", "expired", "cancelled"}
    return finished and bool(peek(peek(answer, "usage"), "total_tokens"))


def _characters(request: Request) -> dict[str, Any]:
    """Speech is paid for by its characters, which only the request tells."""
    return {"inputCharacters": len(text(request.body, "input") or "")}


def _asks_for_usage(request: Request, host: Host, settings: Settings) -> bool:
    """Ask for the usage of a stream that would not tell it, unless the app has its own mind.

    True where it is asked for here, and the piece that tells it is to be hidden from the app.
    """
    if settings.include_usage == "never" or request.path not in _WITH_STREAM_OPTIONS:
        return False
    if settings.include_usage == "known" and not _takes_stream_options(request, host):
        return False
    more = request.options.extra_json or {}
    own = more.get("stream_options", request.body.get("stream_options"))
    if own is not None and (not isinstance(own, dict) or "include_usage" in own):
        return False
    asking = {**(own or {}), "include_usage": True}
    if "stream_options" in more:
        request.options.extra_json = {**more, "stream_options": asking}
    else:
        request.options.json_data = {**request.body, "stream_options": asking}
    return True


def _takes_stream_options(request: Request, host: Host) -> bool:
    if not host.accepts_include_usage:
        return False
    version = getattr(request.client, "_api_version", None)  # of Azure's clients alone
    if isinstance(version, str) and version[:1].isdigit():
        return version >= _AZURE_TAKES_STREAM_OPTIONS_SINCE
    return True


PROVIDER = Provider(
    package="openai",
    clients=frozenset({"OpenAI", "AsyncOpenAI", *_AZURE_CLIENTS}),
    methods=methods("openai", read),
    copies=("copy", "with_options"),
)
