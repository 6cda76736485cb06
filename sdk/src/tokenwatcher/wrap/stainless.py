"""Clients made with the generator that OpenAI, Anthropic and Groq use.

Whatever an app calls (`create`, `parse`, a stream helper, `with_raw_response`), one method of the
client makes the request, with its retries, and gives the answer: `request`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tokenwatcher.settings import Settings
from tokenwatcher.usage.peek import text
from tokenwatcher.wrap.provider import Asked, Method, given


class Request(NamedTuple):
    """A request that the client is about to make."""

    client: Any
    options: Any
    """The library's own description: `url`, `method`, `json_data`, ..."""
    body: dict[str, Any]
    streaming: bool

    @property
    def path(self) -> str:
        """The path below the client's base address, without a query."""
        url: str = self.options.url
        return url.partition("?")[0]

    @property
    def model(self) -> str | None:
        return text(self.body, "model")

    @property
    def service_tier(self) -> str | None:
        return text(self.body, "service_tier")


Reader = Callable[[Request, Settings], "Asked | None"]


def methods(package: str, read: Reader) -> tuple[Method, ...]:
    """Declare the `request` of a library's synchronous and asynchronous clients."""

    def asked(
        client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], settings: Settings
    ) -> Asked | None:
        options = given(args, kwargs, 1, "options")
        body = options.json_data
        request = Request(
            client, options, body if isinstance(body, dict) else {}, bool(kwargs.get("stream"))
        )
        return read(request, settings)

    module = f"{package}._base_client"
    return tuple(
        Method(owner=f"{module}:{kind}", name="request", asked=asked)
        for kind in ("SyncAPIClient", "AsyncAPIClient")
    )
