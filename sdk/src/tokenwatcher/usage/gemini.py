"""Google's Gemini, from the Gemini API and from Vertex: generated content and embeddings.

Cached tokens are within the prompt; thoughts and what tools put into the prompt are beside it.
Numbers that are zero are left out by the API.
"""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.peek import as_count, count, items, peek, size, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream, keep

_TIERS = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "FLEX": "flex",
    "BATCH": "flex",
    "PROVISIONED_THROUGHPUT": "provisioned_throughput",
}


def read(answer: Any, _provider: str) -> Reading:
    usage = _usage(answer)
    tokens, agrees = _tokens(usage)
    model = text(answer, "model_version", "modelVersion")
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens, agrees=agrees),
        model=model,
        response_id=text(answer, "response_id", "responseId"),
        service_tier=_tier(usage),
        server_tool_calls=_searches(answer, model or ""),
        notes=_notes(usage),
    )


def _usage(answer: Any) -> Any:
    return peek(answer, "usage_metadata", "usageMetadata")


def _tokens(usage: Any) -> tuple[Tokens, bool]:
    prompt = count(usage, "prompt_token_count", "promptTokenCount")
    if prompt is None:
        return Tokens(), True  # the early chunks of a Vertex stream say the traffic type alone
    tools = count(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount")
    answered = _answered(usage)
    thoughts = count(usage, "thoughts_token_count", "thoughtsTokenCount")
    total = count(usage, "total_token_count", "totalTokenCount")
    missing = 0
    if total is not None:
        missing = total - prompt - (tools or 0) - answered - (thoughts or 0)
    if missing > 0 and thoughts is None:
        thoughts = missing  # older versions count thoughts in the total alone
    audio_in, image_in = _kinds(usage, "prompt_tokens_details", "promptTokensDetails")
    audio_out, _ = _kinds(
        usage, "candidates_tokens_details", "candidatesTokensDetails", "responseTokensDetails"
    )
    tokens = Tokens(
        input_tokens=prompt + (tools or 0),
        output_tokens=answered + (thoughts or 0),
        cache_read_tokens=count(usage, "cached_content_token_count", "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        tool_prompt_tokens=tools,
        audio_input_tokens=audio_in,
        audio_output_tokens=audio_out,
        image_input_tokens=image_in,
    )
    return tokens, missing == 0


def _answered(usage: Any) -> int:
    """A final answer without this number generated nothing but thoughts: zeros are left out."""
    return (
        count(
            usage,
            "candidates_token_count",
            "candidatesTokenCount",
            "response_token_count",
            "responseTokenCount",
        )
        or 0
    )


def _kinds(usage: Any, *names: str) -> tuple[int | None, int | None]:
    """Give the tokens of audio, and of images and documents, which are priced alike.

    Never the whole: the details may add up to less than the count beside them.
    """
    audio: int | None = None
    image: int | None = None
    for detail in items(usage, *names):
        kind = (text(detail, "modality") or "").upper()
        tokens = count(detail, "token_count", "tokenCount") or 0
        if kind == "AUDIO":
            audio = (audio or 0) + tokens
        elif kind in {"IMAGE", "DOCUMENT"}:
            image = (image or 0) + tokens
    return audio, image


def _tier(usage: Any) -> str | None:
    traffic = text(usage, "traffic_type", "trafficType")
    if traffic is not None:
        return _TIERS.get(traffic.upper(), traffic.lower())
    return text(usage, "service_tier", "serviceTier")


def _searches(answer: Any, model: str) -> dict[str, int] | None:
    """Grounding is charged by the query from Gemini 3 on, and by the prompt before."""
    queries = 0
    for candidate in items(answer, "candidates"):
        grounding = peek(candidate, "grounding_metadata", "groundingMetadata")
        queries += len(items(grounding, "web_search_queries", "webSearchQueries"))
    if not queries:
        return None
    per_prompt = "gemini-1" in model or "gemini-2" in model
    return {"web_search": 1 if per_prompt else queries}


def _notes(usage: Any) -> dict[str, int | str] | None:
    """The wire has no field for generated images; their number still tells where money went."""
    _, images = _kinds(usage, "candidates_tokens_details", "candidatesTokensDetails")
    return {"imageOutputTokens": images} if images else None


def recognises(answer: Any) -> bool:
    return _usage(answer) is not None or isinstance(peek(answer, "candidates"), (list, tuple))


def fold(stream: Stream, chunk: Any) -> None:
    """Usage is cumulative, and the last one stands alone: it may drop what earlier ones had."""
    keep(stream, chunk, "model_version", "modelVersion", "response_id", "responseId")
    candidates = items(chunk, "candidates")
    if candidates:
        stream.generating = True
        for part in (part for one in candidates for part in items(peek(one, "content"), "parts")):
            call = peek(part, "function_call", "functionCall")
            stream.generated += size(peek(part, "text"), peek(call, "name"))
        if any(peek(one, "grounding_metadata", "groundingMetadata") for one in candidates):
            stream.answer["candidates"] = candidates
    usage = _usage(chunk)
    if as_count(peek(usage, "total_token_count", "totalTokenCount")) is not None:
        stream.answer["usage_metadata"] = usage
        stream.final = any(peek(one, "finish_reason", "finishReason") for one in candidates)


SHAPE = Shape("gemini", "google", recognises, read, recognises, fold)
