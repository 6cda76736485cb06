"""Find the price list's name for a model that arrives in one of a hundred spellings.

Every rule is written down here and its name is stored with the cost. A rule may take off what
says how a model was reached or when it was made, never what changes its price: a Bedrock region
stays, a fine-tune stays one, and a model is never looked up at a provider it doesn't come from.
"""

import re
from collections.abc import Iterator

import msgspec

from tokenwatcher_server.pricing.catalog import FINE_TUNE, Catalog, ListedModel

LISTED_NAME = "listed name"

_ALIASES = {
    "amazon": "aws",
    "amazon-bedrock": "aws",
    "aws-bedrock": "aws",
    "bedrock": "aws",
    "bedrock-converse": "aws",
    "bedrock-runtime": "aws",
    "azure-ai": "azure",
    "azure-ai-foundry": "azure",
    "azure-ai-inference": "azure",
    "azure-ai-openai": "azure",
    "azure-foundry": "azure",
    "azure-openai": "azure",
    "az-ai-inference": "azure",
    "microsoft": "azure",
    "claude": "anthropic",
    "gcp-gemini": "google",
    "gcp-gen-ai": "google",
    "gcp-vertex-ai": "google",
    "gemini": "google",
    "google-ai": "google",
    "google-ai-studio": "google",
    "google-gemini": "google",
    "google-genai": "google",
    "google-gla": "google",
    "google-vertex": "google",
    "vertex": "google",
    "vertex-ai": "google",
    "vertexai": "google",
    "mistral-ai": "mistral",
    "mistralai": "mistral",
    "grok": "x-ai",
    "xai": "x-ai",
    "cohere-ai": "cohere",
    "cohere-chat": "cohere",
    "copilot": "github-copilot",
    "deep-seek": "deepseek",
    "fireworks-ai": "fireworks",
    "kimi": "moonshotai",
    "moonshot": "moonshotai",
    "moonshot-ai": "moonshotai",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "perplexity-ai": "perplexity",
    "together-ai": "together",
    "togetherai": "together",
    "voyage": "voyageai",
    "voyage-ai": "voyageai",
    "z-ai": "zai",
    "zhipu": "zhipuai",
    "zhipu-ai": "zhipuai",
}
# routers that put the real provider before the model's name
_ROUTERS = frozenset({"litellm", "litellm-proxy"})
# prefixes that only a router writes, so they say more than the provider field does
_ROUTES = frozenset({"azure", "azure_ai", "bedrock", "vertex_ai", "openrouter"})
_REGION = re.compile(r"^(converse|converse_like|invoke|[a-z]{2}(-gov)?-[a-z]+-\d)/")
_BEDROCK_NAME = re.compile(r"^([a-z]{2,6}(-gov)?\.)?anthropic\.claude")
_DEPLOYMENT = re.compile(r"^(global|global-standard)/")
_DATE = re.compile(
    r"(-(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])|@(20\d{6}|latest|default))$"
)
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$")
_STABLE_VERSION = re.compile(r"-00\d$")


class Spelling(msgspec.Struct, frozen=True):
    """A provider and a model's name to look for, and the rule that led there."""

    provider: str
    name: str
    rule: str


class Match(msgspec.Struct, frozen=True):
    """A model of the price list. `provider` is whose prices they are."""

    provider: str
    model: ListedModel
    text: str
    """For a person: `openai/gpt-4o by "dated version"`."""
    borrowed: bool
    """True where another provider's price list holds here."""


def canonical_provider(said: str) -> str:
    """One spelling for a provider's name: `aws.bedrock`, `Bedrock` and `aws` are the same."""
    name = re.sub(r"[\s_.]+", "-", said.strip().lower())
    if name.startswith("huggingface-"):
        return name.replace("huggingface-", "huggingface_", 1)
    return _ALIASES.get(name, name)


def spellings(said_provider: str, said_model: str) -> Iterator[Spelling]:
    """Every name to look for, the most faithful first, each with its rule."""
    provider, name = canonical_provider(said_provider), said_model.strip().lower()
    for spelling in _rewritten(provider, name):
        yield spelling
        yield from _undated(spelling)


def find(catalog: Catalog, said_provider: str, said_model: str) -> Match | None:
    """Find the listed model, first at the provider itself, then where its prices come from."""
    for spelling in spellings(said_provider, said_model):
        provider = catalog.providers.get(spelling.provider)
        if provider is None:
            continue
        for owner in (provider, *(catalog.providers[name] for name in provider.fallbacks)):
            if (model := owner.find(spelling.name)) is not None:
                return _match(spelling, owner.name, model, spelling.rule)
            if (base := _tuned_base(spelling.name)) and (model := owner.called(f"ft:{base}")):
                return _match(spelling, owner.name, model, f"fine-tune of {base}")
    return None


def is_fine_tune(model: str) -> bool:
    return FINE_TUNE.search(model.strip().lower()) is not None


def _match(spelling: Spelling, owner: str, model: ListedModel, rule: str) -> Match:
    borrowed = owner != spelling.provider
    on_behalf = f" for {spelling.provider}" if borrowed else ""
    return Match(owner, model, f'{owner}/{model.model}{on_behalf} by "{rule}"', borrowed)


def _rewritten(provider: str, name: str) -> Iterator[Spelling]:
    """The name as it came, then without what a router or a resource path put before it."""
    rule = LISTED_NAME
    while True:  # every rewriting takes something off, or moves to a provider it won't leave
        if not name.startswith("arn:"):  # a resource of one's own may hold a listed name
            yield Spelling(provider, name, rule)
        rewritten = _shorter(provider, name)
        if rewritten is None:
            return
        provider, name, rule = rewritten


def _shorter(provider: str, name: str) -> tuple[str, str, str] | None:
    if name.startswith("arn:aws") and "/" in name:
        return "aws", name.rpartition("/")[2], "resource name"
    if name.startswith(("models/", "projects/", "publishers/")) and "models/" in name:
        return provider, name.rpartition("models/")[2], "resource path"
    if provider == "anthropic" and _BEDROCK_NAME.match(name):
        return "aws", name, "Bedrock name"
    if provider == "aws" and _REGION.match(name):
        return provider, _REGION.sub("", name), "bedrock/ path"
    if provider == "azure" and _DEPLOYMENT.match(name):
        return provider, _DEPLOYMENT.sub("", name), "azure/ path"
    head, slash, rest = name.partition("/")
    if not slash:
        return None
    owner = canonical_provider(head)
    if owner == provider or provider in _ROUTERS or head in _ROUTES:
        return owner, rest, f"{head}/ prefix"
    return None


def _undated(spelling: Spelling) -> Iterator[Spelling]:
    name = spelling.name
    if FINE_TUNE.search(name):
        return
    rule = "dated version" if spelling.rule == LISTED_NAME else f"{spelling.rule}, dated version"
    if _COMPACT_DATE.search(name):
        yield Spelling(spelling.provider, _COMPACT_DATE.sub(r"-\1-\2-\3", name), rule)
    if _DATE.search(name):
        yield Spelling(spelling.provider, _DATE.sub("", name), rule)
    if spelling.provider == "google" and _STABLE_VERSION.search(name):
        yield Spelling(spelling.provider, _STABLE_VERSION.sub("", name), "stable version")


def _tuned_base(name: str) -> str | None:
    """The model that `ft:base:organisation:name:id` was made from."""
    return name.split(":")[1] if name.startswith("ft:") else None
