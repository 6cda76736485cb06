"""Clients made with the generator that OpenAI, Anthropic and Groq use.

Whatever an app calls (`create`, `parse`, a stream helper, `with_raw_response`), one method of the
client makes the request, with its retries, and gives the answer: `request`.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import Any, NamedTuple

from tokenwatcher.begun import Call
from tokenwatcher.settings import Settings
from tokenwatcher.stream import tracked
from tokenwatcher.usage.peek import items, opened, peek, text
from tokenwatcher.watch import Watch
from tokenwatcher.wrapping.hosts import Host, host_of
from tokenwatcher.wrapping.provider import Asked, Method, take_whole
from tokenwatcher.wrapping.raw import take_response, watch_of


class Request(NamedTuple):
    """A request that the client is about to make."""

    client: Any
    options: Any
    """The library's own description: `url`, `method`, `json_data`, ..."""
    path: str
    """The path below the client's base address, without a query."""
    body: dict[str, Any]
    streaming: bool

    @property
    def model(self) -> str | None:
        return text(self.body, "model")

    @property
    def service_tier(self) -> str | None:
        return text(self.body, "service_tier")  # what is not given may be an object that says so


_KNOWN = "_tokenwatcher_known"
_MOST_KNOWN = 100
"""Requests that are no longer looked at when they come again; models and paths are few."""

Reader = Callable[[Request, Settings], "Asked | None"]


def methods(package: str, read: Reader) -> tuple[Method, ...]:
    """Declare the `request` of a library's synchronous and asynchronous clients."""

    def asked(
        client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings
    ) -> Asked | None:
        options = args[1] if len(args) > 1 else kwargs["options"]
        told = options.__dict__
        body = told.get("json_data")
        if type(body) is not dict:
            body = {}
        if kwargs.get("stream", False):
            asked = read(_request(client, options, body, streaming=True), settings)
            if asked is not None:
                asked.body = body
            return asked
        own = client.__dict__
        known: Known | None = own.get(_KNOWN)
        if known is None or known.url is not own.get("_base_url"):
            known = _known(client)
        model, tier = text(body, "model"), text(body, "service_tier")
        alike = (told["url"], model, tier, "background" in body)
        asked = known.asked.get(alike)
        if asked is None:
            asked = read(_request(client, options, body), settings)
            if model is not None:  # what names none is for one thing alone, and seldom
                known.keep(alike, asked)
        if asked is not None and callable(told.get("post_parser")):
            return _before_parsing(asked, options)
        return asked

    module = f"{package}._base_client"
    return tuple(
        Method(owner=f"{module}:{kind}", name="request", asked=asked, answered=take_answer)
        for kind in ("SyncAPIClient", "AsyncAPIClient")
    )


def _before_parsing(asked: Asked, options: Any) -> Asked:
    """Have the answer seen before the library parses it for the app."""
    unread: list[Any] = []
    parser = options.post_parser

    def parse(answer: Any) -> Any:
        unread.append(answer)
        return parser(answer)

    options.post_parser = parse
    asked = copy(asked)
    asked.unread = unread
    return asked


class Known:
    """What was found out of a client, as long as its address stays the same."""

    __slots__ = ("asked", "host", "url")

    def __init__(self, url: Any, host: Host) -> None:
        self.url = url
        self.host = host
        self.asked: dict[tuple[Any, ...], Asked] = {}
        """What plain requests told, by all that it depends on."""

    def keep(self, alike: tuple[Any, ...], asked: Asked | None) -> None:
        """Keep what was read, for the next that is alike; but no notes, which are one request's."""
        if asked is not None and asked.facts.metadata is None and len(self.asked) < _MOST_KNOWN:
            self.asked[alike] = asked


def host_of_client(client: Any) -> Host:
    """Tell who answers a client, by its base address; looked up once for each address."""
    return _known(client).host


def _known(client: Any) -> Known:
    own = client.__dict__
    url = own.get("_base_url") or client.base_url
    known: Known | None = own.get(_KNOWN)
    if known is not None and known.url is url:
        return known
    host = host_of(url.raw_host.decode("ascii", "replace"), url.port)
    if "_azure_endpoint" in own:  # OpenAI's client for Azure, perhaps behind a gateway of one's own
        host = host._replace(provider="azure")
    own[_KNOWN] = known = Known(url, host)
    return known


def _request(
    client: Any, options: Any, body: dict[str, Any], *, streaming: bool = False
) -> Request:
    return Request(client, options, options.url.partition("?")[0], body, streaming)


def take_answer(call: Call, answer: Any, asked: Asked) -> Any:
    """Take what `request` gives: an answer, a stream, or a response that the app reads itself."""
    kind = type(answer)
    if kind is asked.kind:
        call.answered(answer)
        return answer
    if _is_plain(kind):  # type: ignore[arg-type]  # a class is hashable
        take_whole(call, answer, asked)
        if asked.counts is None and asked.each is None and not asked.fetches:
            asked.kind = kind
        return answer
    hides = is_usage_alone if asked.hides_usage else None
    response = _http_response(answer)
    if response is not None:
        take_response(call, response, asked, hides)
        return answer
    return tracked(answer, lambda: _watch(call, answer, asked), hides) or answer


def is_usage_alone(chunk: Any) -> bool:
    """Tell the piece that OpenAI sends for `include_usage`, and for nothing else."""
    fields = opened(chunk)
    return peek(fields, "usage") is not None and not items(fields, "choices")


@lru_cache(maxsize=256)
def _is_plain(kind: type) -> bool:
    """Tell whether objects of a class are whole answers, which is asked for each of them."""
    return not any(
        hasattr(kind, name) for name in ("__next__", "__anext__", "http_request", "iter_raw")
    )


def _http_response(answer: Any) -> Any:
    """Find the response of httpx in what stands for it; None in a stream that was parsed."""
    kind = type(answer)
    if hasattr(kind, "http_request"):  # a raw or a streaming response
        return answer.http_response
    if hasattr(kind, "iter_raw"):  # httpx's own, or the library's for what is no text
        return answer if hasattr(kind, "raise_for_status") else answer.response
    return None


class EachAnswer:
    """Records the answers that come one by one; stands where a stream has its `Watch`."""

    def __init__(self, call: Call, asked: Asked) -> None:
        self._call = call
        self._asked = asked
        self.stepping = False

    def piece(self, chunk: Any) -> None:
        try:
            take_whole(self._call, chunk, self._asked)
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            self._call.swallow(error)

    def broke(self, error: BaseException) -> None:
        """What has come is recorded already."""

    def end(self, outcome: str) -> None:
        """What has come is recorded already."""


def _watch(call: Call, stream: Any, asked: Asked) -> Watch | EachAnswer:
    if asked.each is not None:
        return EachAnswer(call, asked)
    response = getattr(stream, "response", None)
    if response is None:
        return Watch(call, asked=asked.body, counts=asked.counts, fetched=asked.fetches)
    watch = watch_of(call, response, asked)
    _see_closing(response, watch)
    return watch


def _see_closing(response: Any, watch: Watch) -> None:
    """The stream helpers close the response itself, past the stream that they were given."""
    close, aclose, own = response.close, response.aclose, response.__dict__

    def ended() -> None:
        # or the response would hold itself, and all that hangs on it, until the next collection
        for name, ours in (("close", close_and_end), ("aclose", aclose_and_end)):
            if own.get(name) is ours:
                del own[name]
        if not watch.stepping:
            watch.end("client_abort")

    def close_and_end() -> None:
        try:
            close()
        finally:
            ended()

    async def aclose_and_end() -> None:
        try:
            await aclose()
        finally:
            ended()

    response.close = close_and_end
    response.aclose = aclose_and_end
