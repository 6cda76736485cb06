"""OpenAI's library: OpenAI, Azure, and whoever speaks their language."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import openai
from openai.resources import responses

from sdk.tests.recorded.drivers.driver import HELLO, Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, path_of

_PATHS = (
    "/chat/completions",
    "/completions",
    "/responses/compact",
    "/responses",
    "/embeddings",
    "/audio/transcriptions",
    "/images/generations",
)
_OTHERS = ("voyage", "portkey", "writer")
"""Their paths look alike, but their requests or answers are not OpenAI's."""


def receives(exchange: Exchange) -> bool:
    """Compacting is not known to older versions."""
    if exchange["api"] == "openai.responses.compact":
        return hasattr(responses.Responses, "compact")
    return (
        exchange["transport"] in {"json", "sse"}
        and exchange["provider"] not in _OTHERS
        and _own_path(exchange) is not None
    )


def _own_path(exchange: Exchange) -> str | None:
    """The part of the path that the client adds to its base address."""
    path = path_of(exchange)
    if exchange["request"]["method"] == "GET":
        folders = ("/v1/responses/", "/v1/batches/")
        return path.removeprefix("/v1") if path.startswith(folders) else None
    return next((own for own in _PATHS if path.endswith(own)), None)


def address(exchange: Exchange) -> str:
    base = path_of(exchange).removesuffix(_own_path(exchange) or "")
    query = urlsplit(exchange["request"]["path"]).query
    return f"http://{host_of(exchange)}{base}{'?' + query if 'api-version' in query else ''}"


def connect(address: str, asynchronous: bool) -> Any:
    parts = urlsplit(address)
    if "/deployments/" in parts.path:
        azure = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        return azure(
            azure_endpoint=f"http://{parts.netloc}",
            api_key="made-up",
            api_version=parse_qs(parts.query)["api-version"][0],
            max_retries=0,
        )
    plain = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    return plain(base_url=address, api_key="made-up", max_retries=0)


def call(client: Any, exchange: Exchange, _asynchronous: bool) -> Any:
    own = _own_path(exchange) or ""
    if exchange["request"]["method"] == "GET":
        _, folder, name = own.split("/")
        return getattr(client, folder).retrieve(name)
    body = exchange["request"].get("body")
    asked: dict[str, Any] = {"model": _model(exchange)}
    for name in ("stream", "stream_options"):
        if isinstance(body, dict) and body.get(name):
            asked[name] = body[name]
    calls = {
        "/chat/completions": lambda: client.chat.completions.create(messages=HELLO, **asked),
        "/completions": lambda: client.completions.create(prompt="Hello!", **asked),
        "/responses": lambda: client.responses.create(input="Hello!", **asked),
        "/responses/compact": lambda: client.responses.compact(input="Hello!", **asked),
        "/images/generations": lambda: client.images.generate(prompt="A dog.", **asked),
        "/audio/transcriptions": lambda: client.audio.transcriptions.create(
            file=("speech.wav", b"RIFF"), **asked
        ),
        # asked for numbers, the client leaves the trimmed vectors alone
        "/embeddings": lambda: client.embeddings.create(
            input="Hello!", encoding_format="float", **asked
        ),
    }
    return calls[own]()


def _model(exchange: Exchange) -> str:
    """Azure is asked for a deployment, which its path names."""
    parts = path_of(exchange).split("/")
    if "deployments" in parts:
        return parts[parts.index("deployments") + 1]
    return model_of(exchange) or "gpt-4o-mini"


DRIVER = Driver("openai", receives, address, connect, call)
