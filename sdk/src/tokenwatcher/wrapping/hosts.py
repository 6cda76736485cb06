"""Who answers at an address that speaks OpenAI's language, and what may be asked of them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class Host(NamedTuple):
    """Who answers at a host."""

    provider: str
    accepts_include_usage: bool = False
    """Known to take `stream_options: {"include_usage": true}`, and to need it."""


_OPENAI = Host("openai", accepts_include_usage=True)
_AZURE = Host("azure", accepts_include_usage=True)
_GOOGLE = Host("google")
# the others that need no asking send their usage with the last piece by themselves
_HOSTS = {
    "api.openai.com": _OPENAI,
    "openai.azure.com": _AZURE,
    "services.ai.azure.com": _AZURE,
    "cognitiveservices.azure.com": _AZURE,
    "inference.ai.azure.com": _AZURE,
    "azure-api.net": Host("azure"),
    "api.groq.com": Host("groq"),
    "api.deepseek.com": Host("deepseek", accepts_include_usage=True),
    "api.x.ai": Host("xai"),
    "openrouter.ai": Host("openrouter", accepts_include_usage=True),
    "api.together.xyz": Host("together"),
    "api.together.ai": Host("together"),
    "api.mistral.ai": Host("mistral"),
    "generativelanguage.googleapis.com": _GOOGLE,
    "aiplatform.googleapis.com": _GOOGLE,
    "api.anthropic.com": Host("anthropic"),
    "amazonaws.com": Host("bedrock"),
    "api.aws": Host("bedrock"),
    "api.perplexity.ai": Host("perplexity"),
    "api.fireworks.ai": Host("fireworks"),
    "api.cerebras.ai": Host("cerebras"),
    "api.cohere.ai": Host("cohere"),
    "api.cohere.com": Host("cohere"),
    "api.moonshot.ai": Host("moonshotai"),
    "api.moonshot.cn": Host("moonshotai"),
    "api.z.ai": Host("zai"),
    "open.bigmodel.cn": Host("zhipuai"),
    "aliyuncs.com": Host("alibaba"),
    "api.minimax.io": Host("minimax"),
    "api.sambanova.ai": Host("sambanova"),
    "api.deepinfra.com": Host("deepinfra"),
    "api.novita.ai": Host("novita"),
    "api.crusoe.ai": Host("crusoe"),
    "integrate.api.nvidia.com": Host("nvidia"),
    "router.huggingface.co": Host("huggingface"),
    "models.github.ai": Host("github"),
    "api.voyageai.com": Host("voyageai"),
    "api.jina.ai": Host("jina"),
    "ai-gateway.vercel.sh": Host("vercel"),
    "api.writer.com": Host("writer", accepts_include_usage=True),
    "snowflakecomputing.com": Host("snowflake", accepts_include_usage=True),
    "ollama.com": Host("ollama"),
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "host.docker.internal"})  # noqa: S104  # names, nothing is bound
_OLLAMA = 11434


@lru_cache(maxsize=256)
def host_of(name: str, port: int | None) -> Host:
    """Tell who answers at a host: by its name, or the name of a domain that it lies in.

    One that is not known is called by its own name, and is asked for nothing unusual.
    """
    if port == _OLLAMA:
        return Host("ollama", accepts_include_usage=True)
    name = name.lower().rstrip(".")
    if name in _LOOPBACK:
        return Host("localhost")
    domain = name
    while domain:
        if domain in _HOSTS:
            return _HOSTS[domain]
        domain = domain.partition(".")[2]
    return Host(name or "unknown")
