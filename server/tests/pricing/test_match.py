"""A hundred spellings of a model's name, and the rule by which each is found, or is not."""

import pytest

from tokenwatcher_server.pricing.catalog import Catalog
from tokenwatcher_server.pricing.match import canonical_provider, find, is_fine_tune

SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
FOUND = [
    ("openai", "gpt-4o", 'openai/gpt-4o by "listed name"'),
    ("OpenAI", "GPT-4o ", 'openai/gpt-4o by "listed name"'),
    ("openai", "gpt-4o-2024-11-20", 'openai/gpt-4o by "listed name"'),
    ("openai", "gpt-4o-2024-05-13", 'openai/gpt-4o-2024-05-13 by "listed name"'),
    ("openai", "gpt-4o-2027-01-31", 'openai/gpt-4o by "dated version"'),
    ("openai", "gpt-5.2-20251211", 'openai/gpt-5.2 by "dated version"'),
    ("openai", "openai/gpt-4o", 'openai/gpt-4o by "openai/ prefix"'),
    ("openai", "openai/gpt-4o-2027-01-31", 'openai/gpt-4o by "openai/ prefix, dated version"'),
    ("litellm", "openai/gpt-4o", 'openai/gpt-4o by "openai/ prefix"'),
    ("litellm", "azure/gpt-4o", 'openai/gpt-4o for azure by "azure/ prefix"'),
    ("azure", "azure/global-standard/gpt-4o", 'openai/gpt-4o for azure by "azure/ path"'),
    ("azure.ai.openai", "gpt-35-turbo", 'openai/gpt-3.5-turbo for azure by "listed name"'),
    ("azure_openai", "o4-mini", 'azure/o4-mini by "listed name"'),
    ("anthropic", "claude-sonnet-4-5-20250929", 'anthropic/claude-sonnet-4-5 by "listed name"'),
    ("anthropic", f"us.{SONNET}", f'aws/regional.{SONNET} by "Bedrock name"'),
    ("aws.bedrock", SONNET, f'aws/regional.{SONNET} by "listed name"'),
    ("bedrock", f"us.{SONNET}", f'aws/regional.{SONNET} by "listed name"'),
    ("bedrock", f"apac.{SONNET}", f'aws/regional.{SONNET} by "listed name"'),
    ("bedrock", f"global.{SONNET}", f'aws/global.{SONNET} by "listed name"'),
    ("litellm", f"bedrock/us.{SONNET}", f'aws/regional.{SONNET} by "bedrock/ prefix"'),
    ("aws", f"bedrock/converse/us-east-1/{SONNET}", f'aws/regional.{SONNET} by "bedrock/ path"'),
    (
        "bedrock",
        f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{SONNET}",
        f'aws/regional.{SONNET} by "resource name"',
    ),
    ("google", "models/gemini-2.5-flash", 'google/gemini-2.5-flash by "resource path"'),
    (
        "vertex_ai",
        "projects/p/locations/eu/publishers/google/models/gemini-2.5-flash",
        'google/gemini-2.5-flash by "resource path"',
    ),
    ("gcp.gemini", "gemini-2.5-flash-001", 'google/gemini-2.5-flash by "stable version"'),
    ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", 'google/claude-sonnet-4-5 by "listed name"'),
    (
        "vertex_ai",
        "claude-sonnet-5@default",
        'anthropic/claude-sonnet-5 for google by "listed name"',
    ),
    ("openrouter", "openai/gpt-4o", 'openrouter/openai/gpt-4o by "listed name"'),
    ("openai", "openrouter/openai/gpt-4o", 'openrouter/openai/gpt-4o by "openrouter/ prefix"'),
    ("x_ai", "grok-4.3", 'x-ai/grok-4.3 by "listed name"'),
    ("mistral_ai", "mistral-small-latest", 'mistral/mistral-small-latest by "listed name"'),
    ("groq", "openai/gpt-oss-120b", 'groq/openai/gpt-oss-120b by "listed name"'),
    ("together_ai", "zai-org/GLM-5.2", 'together/zai-org/GLM-5.2 by "listed name"'),
    ("openai", "ft:gpt-4o-mini:org::id", 'openai/ft:gpt-4o-mini by "fine-tune of gpt-4o-mini"'),
    ("openai", "ft:gpt-4o-mini-2024-07-18:org::id", 'openai/ft:gpt-4o-mini by "listed name"'),
    ("openai", "ft:gpt-4-0613:org::id", 'openai/gpt-4 by "listed name"'),
]
NOT_FOUND = [
    ("acme", "gpt-4o"),
    ("acme", "openai/gpt-4o"),
    ("groq", "openai/gpt-4o"),
    ("anthropic", "openai/gpt-4o"),
    ("openai", "claude-sonnet-4-5"),
    ("openai", "gpt-4o-mini-nobody-knows"),
    ("openai", "ft:gpt-4.1-mini-2025-04-14:org::id"),
    ("azure", "gpt-4o-2024-08-06.ft-0123456789abcdef"),
    ("cohere", "command-light-ft-0123"),
    ("google", "tunedModels/gemini-2.5-flash-abc"),
    ("bedrock", f"ca.{SONNET}"),
    ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"),
    ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0/abc"),
    ("azure", "azure/eu/gpt-4o"),
    ("litellm", "gpt-4o"),
    ("mistral", "mistral-large-2607"),
    ("openai", ""),
]


@pytest.mark.parametrize(("provider", "model", "text"), FOUND)
def test_a_spelling_is_found_by_its_rule(
    catalog: Catalog, provider: str, model: str, text: str
) -> None:
    match = find(catalog, provider, model)
    assert match is not None
    assert match.text == text


@pytest.mark.parametrize(("provider", "model"), NOT_FOUND)
def test_what_no_rule_covers_is_never_guessed(catalog: Catalog, provider: str, model: str) -> None:
    assert find(catalog, provider, model) is None


def test_a_region_s_price_stays_the_region_s(catalog: Catalog) -> None:
    regional = find(catalog, "bedrock", f"us.{SONNET}")
    everywhere = find(catalog, "bedrock", f"global.{SONNET}")
    assert regional is not None
    assert everywhere is not None
    [at_region] = catalog.rate_lines("aws", regional.model, "standard")
    [at_large] = catalog.rate_lines("aws", everywhere.model, "standard")
    assert at_region.rates.input_text == 3_300_000
    assert at_large.rates.input_text == 3_000_000


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("aws.bedrock", "aws"),
        ("Amazon Bedrock", "aws"),
        ("azure.ai.inference", "azure"),
        ("gcp.gen_ai", "google"),
        ("google-vertex", "google"),
        ("huggingface-together", "huggingface_together"),
        ("huggingface_fireworks-ai", "huggingface_fireworks-ai"),
        ("acme", "acme"),
    ],
)
def test_a_provider_has_one_name(said: str, name: str) -> None:
    assert canonical_provider(said) == name


def test_every_alias_leads_to_a_listed_provider(catalog: Catalog) -> None:
    from tokenwatcher_server.pricing.match import _ALIASES

    assert set(_ALIASES.values()) <= catalog.providers.keys()


@pytest.mark.parametrize("model", ["ft:gpt-4o:o::i", "gpt-4o.ft-1", "x-ft-1", "my-finetuned-model"])
def test_a_fine_tune_is_known_by_its_name(model: str) -> None:
    assert is_fine_tune(model)


@pytest.mark.parametrize("model", ["gpt-4o", "left-handed", "mft", "swift-1"])
def test_other_names_are_not_taken_for_fine_tunes(model: str) -> None:
    assert not is_fine_tune(model)
