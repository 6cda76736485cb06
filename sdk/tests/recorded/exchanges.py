"""Exchanges with providers: those recorded from real ones, and our own, written by hand."""

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

Exchange = dict[str, Any]

ROOT = Path(__file__).parents[3]
RECORDED = ROOT.parent / "shared" / "realdata" / "exchanges"
OWN = ROOT / "sdk" / "tests" / "answers"
ABSENT = f"NO RECORDED ANSWERS at {RECORDED}: only the repository's own were replayed"
_CUT = re.compile(r'"(?:[^"\\]|\\.)*…\[[^"\]]*cut\](?:[^"\\]|\\.)*"')
_HOSTS = MappingProxyType(
    {
        "anthropic": "api.anthropic.com",
        "bedrock": "bedrock-runtime.us-east-1.amazonaws.com",
        "cohere": "api.cohere.com",
        "deepseek": "api.deepseek.com",
        "gemini": "generativelanguage.googleapis.com",
        "gemini-openai": "generativelanguage.googleapis.com",
        "groq": "api.groq.com",
        "mistral": "api.mistral.ai",
        "ollama": "127.0.0.1:11434",
        "openai": "api.openai.com",
        "openrouter": "openrouter.ai",
        "vertex": "aiplatform.googleapis.com",
        "xai": "api.x.ai",
    }
)
"""Where the exchanges written by hand take place; a recorded one names its host."""


def load(folder: Path) -> dict[str, Exchange]:
    """All exchanges of a folder by name."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_bytes())
        if "expected" in content:
            found[path.stem] = {**content, "name": path.stem}
    return found


def load_all() -> dict[str, Exchange]:
    """Our own exchanges, and the recorded ones where they are."""
    return load(OWN) | load(RECORDED)


def must_be_here() -> bool:
    """Whether a missing folder of recordings is a failure, as it is under CI."""
    return bool(os.environ.get("CI"))


def provider_of(exchange: Exchange) -> str:
    provider: str = exchange["provider"]
    return provider


def host_of(exchange: Exchange) -> str:
    """The host that was called, with its port where it is not the usual one."""
    recorded: str | None = exchange["request"].get("host")
    return recorded or _HOSTS.get(provider_of(exchange), "api.example.com")


def path_of(exchange: Exchange) -> str:
    """The path that was called, without its query."""
    return str(urlsplit(exchange["request"]["path"]).path)


def model_of(exchange: Exchange) -> str | None:
    """The model that was asked for, by the body or else by the path."""
    body = exchange["request"].get("body")
    if isinstance(body, dict) and (body.get("model") or body.get("model_id")):
        return str(body.get("model") or body.get("model_id"))
    parts = [unquote(part) for part in path_of(exchange).split("/")]
    for folder in ("model", "models"):
        if folder in parts:
            name = parts[parts.index(folder) + 1]
            return name if provider_of(exchange) == "bedrock" else name.split(":")[0]
    return {"openai.transcriptions": "gpt-4o-transcribe"}.get(exchange["api"])


def headers_of(exchange: Exchange) -> Mapping[str, str]:
    """The headers of the response that say nothing of how its body is carried."""
    carried = {"content-length", "transfer-encoding", "content-encoding", "connection"}
    headers: dict[str, str] = exchange["response"].get("headers") or {}
    return {name: value for name, value in headers.items() if name.lower() not in carried}


def body_of(exchange: Exchange) -> bytes:
    """The body of the response: the raw text, the frames of AWS, lines of JSON, or JSON."""
    response = exchange["response"]
    if "body_base64" in response:
        return base64.b64decode(response["body_base64"])
    body = response.get("body")
    if exchange["streaming"] and isinstance(body, str):
        return _mended(body)
    if exchange["streaming"] and isinstance(body, list):
        return b"".join(json.dumps(chunk).encode() + b"\n" for chunk in body)
    return _mended(json.dumps(body, ensure_ascii=False))


def _mended(text: str) -> bytes:
    """Long values were cut out of the recordings; a client that decodes them needs real base64."""
    return _CUT.sub('"AAAA"', text).encode()
