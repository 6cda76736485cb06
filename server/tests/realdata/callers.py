"""How an app calls each provider: the provider's own client, or plain HTTP where none is here.

Loaded by `conftest.py`; a caller gives a function of no arguments, as an app would give `track`.
"""

import base64
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import anthropic
import httpx
import openai
from google import genai

from sdk.tests.recorded.drivers.google import Nobody

Exchange = dict[str, Any]
OPENAI_PATHS = (
    "/chat/completions",
    "/responses/compact",
    "/completions",
    "/embeddings",
    "/responses",
    "/audio/transcriptions",
)


class Prepared(NamedTuple):
    """A call that is ready to be made, and the model that the app asks for."""

    make: Callable[[], Any]
    model: str | None


def prepare(exchange: Exchange, url: str, *, asynchronous: bool) -> Prepared | None:
    """Prepare the call; None where there is no client of that kind here."""
    api = exchange["api"]
    wire: str = exchange.get("wire") or api
    body = exchange["request"].get("body")
    model = _requested_model(exchange)
    make = None
    if exchange["transport"] == "websocket":
        return None
    if wire.startswith("anthropic.messages"):
        make = _anthropic(exchange, url, body, asynchronous=asynchronous)
    elif api in {"gemini.generateContent", "vertex.generateContent", "gemini.embeddings"}:
        make = _google(exchange, url, model or "", asynchronous=asynchronous)
    elif _openai_path(exchange) and (model or exchange["request"]["method"] == "GET"):
        make = _openai(exchange, url, body, asynchronous=asynchronous)
    elif not asynchronous:
        make = _plain(exchange, url)
    return None if make is None else Prepared(make, model)


def _requested_model(exchange: Exchange) -> str | None:
    request = exchange["request"]
    body = request.get("body")
    if isinstance(body, dict) and (body.get("model") or body.get("model_id")):
        return str(body.get("model") or body.get("model_id"))
    parts = unquote(urlsplit(request["path"]).path).split("/")
    for folder in ("model", "models"):
        if folder in parts:
            name = parts[parts.index(folder) + 1]
            return name if exchange["provider"] == "bedrock" else name.split(":")[0]
    return {"openai.transcriptions": "gpt-4o-transcribe"}.get(exchange["api"])


def _openai_path(exchange: Exchange) -> tuple[str, str] | None:
    """Split the recorded path into the client's base and the call's own part."""
    path = urlsplit(exchange["request"]["path"]).path
    if exchange["api"] == "openai.responses" and exchange["request"]["method"] == "GET":
        return path.split("/responses/")[0], "/responses/"
    for own in OPENAI_PATHS:
        if path.endswith(own) and exchange["provider"] not in {
            "voyage",
            "portkey",
            "writer",
            "ollama",
        }:
            return path.removesuffix(own), own
    return None


def _openai(
    exchange: Exchange, url: str, body: Any, *, asynchronous: bool
) -> Callable[[], Any] | None:
    base, own = _openai_path(exchange) or ("", "")
    path, query = urlsplit(exchange["request"]["path"])[2:4]
    if "/deployments/" in path:
        azure = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        client: Any = azure(
            azure_endpoint=url,
            api_key="made-up",
            api_version=parse_qs(query)["api-version"][0],
            max_retries=0,
        )
    else:
        plain = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        client = plain(api_key="made-up", base_url=url + base, max_retries=0)
    if own == "/responses/":
        return lambda: client.responses.retrieve(path.split("/responses/")[1])
    if own == "/audio/transcriptions":
        return lambda: client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("speech.wav", b"RIFF"), stream=exchange["streaming"]
        )
    method = {
        "/chat/completions": client.chat.completions.create,
        "/completions": client.completions.create,
        "/embeddings": client.embeddings.create,
        "/responses": client.responses.create,
        "/responses/compact": client.responses.compact,
    }[own]
    named = ("model", "messages", "input", "prompt", "stream")
    given = {name: body[name] for name in named if name in body}
    rest = {name: value for name, value in body.items() if name not in given}
    if own == "/embeddings":
        given["encoding_format"] = "float"  # the client then leaves the trimmed vectors alone
    return lambda: method(**given, extra_body=rest)


def _anthropic(
    exchange: Exchange, url: str, body: Any, *, asynchronous: bool
) -> Callable[[], Any] | None:
    if exchange["provider"] == "bedrock":
        return None if asynchronous else _plain(exchange, url)
    kind = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    client: Any = kind(api_key="made-up", base_url=url, max_retries=0)
    resource = (
        client.beta.messages if "beta=true" in exchange["request"]["path"] else client.messages
    )
    named = ("model", "messages", "stream")
    given = {name: body[name] for name in named if name in body}
    given["max_tokens"] = body.get("max_tokens", 1024)
    return lambda: resource.create(**given)


def _google(
    exchange: Exchange, url: str, model: str, *, asynchronous: bool
) -> Callable[[], Any] | None:
    options: Any = {"base_url": url}
    if exchange["provider"] == "vertex":
        client: Any = genai.Client(
            vertexai=True,
            project="made-up",
            location="global",
            credentials=Nobody(),
            http_options=options,
        )
    else:
        client = genai.Client(api_key="made-up", http_options=options)

    def call() -> Any:  # holds the client, which closes its connections when it is forgotten
        models = client.aio.models if asynchronous else client.models
        if exchange["api"] == "gemini.embeddings":
            return models.embed_content(model=model, contents=["hello"])
        if exchange["streaming"]:
            return models.generate_content_stream(model=model, contents="hello")
        return models.generate_content(model=model, contents="hello")

    return call


def _plain(exchange: Exchange, url: str) -> Callable[[], Any]:
    request, transport = exchange["request"], exchange["transport"]

    def call() -> Any:
        method = "GET" if request["method"] == "GET" else "POST"
        answer = httpx.request(method, url + "/call", json={})
        answer.raise_for_status()
        if not exchange["streaming"] or isinstance(exchange["response"].get("body"), dict):
            return _with_headers(exchange, answer)
        if transport == "aws-eventstream":
            return _as_boto(exchange, answer.content)
        return _events(transport, answer)

    return call


def _with_headers(exchange: Exchange, answer: httpx.Response) -> Any:
    """The body; on Bedrock with the response's headers, where botocore puts them."""
    body = answer.json()
    if exchange["provider"] == "bedrock" and isinstance(body, dict):
        return {**body, "ResponseMetadata": {"HTTPHeaders": dict(answer.headers)}}
    return body


def _events(transport: str, answer: httpx.Response) -> Iterator[Any]:
    """The pieces of a stream as dicts: server-sent events, or JSON on each line."""
    for line in answer.text.splitlines():
        said = line.removeprefix("data:").strip() if transport == "sse" else line
        if (transport != "sse" or line.startswith("data:")) and said and said != "[DONE]":
            yield json.loads(said)


class EventStream:
    """A stream of AWS events as botocore gives it: iterable, and to be closed."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rest = self._content
        while rest:
            length, header_length = struct.unpack(">II", rest[:8])
            frame, rest = rest[:length], rest[length:]
            kind = _event_type(frame[12 : 12 + header_length])
            payload = json.loads(frame[12 + header_length : -4])
            if kind == "chunk":
                yield {"chunk": {"bytes": base64.b64decode(payload["bytes"])}}
            else:
                yield {kind: payload}

    def close(self) -> None:
        pass


def _event_type(headers: bytes) -> str:
    while headers:
        name_length = headers[0]
        name = headers[1 : 1 + name_length]
        value_length = int.from_bytes(headers[2 + name_length : 4 + name_length], "big")
        value = headers[4 + name_length : 4 + name_length + value_length]
        if name == b":event-type":
            return value.decode()
        headers = headers[4 + name_length + value_length :]
    raise AssertionError("an event without a type")


def _as_boto(exchange: Exchange, content: bytes) -> dict[str, Any]:
    key = "stream" if exchange["api"] == "bedrock.converse" else "body"
    return {key: EventStream(content), "ResponseMetadata": {"HTTPHeaders": {}}}
