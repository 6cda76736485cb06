"""The wire's wholes and parts, turned into disjoint buckets.

A part is within its whole, never on top, so what is left of the whole after its parts is plain
text. Cached audio is counted by providers both as cached and as audio; where the parts exceed
the whole by no more than that overlap, it becomes `cache_read_audio`.
"""

from tokenwatcher_server.events.tokens import Tokens, TokensDisagree
from tokenwatcher_server.ingest.wire import WireEvent

_NOT_SAID = Tokens()


def to_buckets(event: WireEvent) -> Tokens:
    """Split the counts into buckets.

    Raises TokensDisagree where a part doesn't fit, unless the client itself says the usage is
    `inconsistent`: then the parts stand as they are.
    """
    lenient = event.usage_quality == "inconsistent"
    whole_in, whole_out = event.input_tokens, event.output_tokens
    cache_read = event.cache_read_tokens
    audio = event.audio_input_tokens
    image = event.image_input_tokens
    tool_prompt = event.tool_prompt_tokens
    cached_audio = None
    writes = write_5m = write_1h = write_other = None
    if event.cache_write_tokens is not None or _says_lifetime(event):
        writes, write_5m, write_1h, write_other = _cache_writes(event, lenient=lenient)
    text = whole_in
    parts = (cache_read or 0) + (writes or 0) + (audio or 0) + (image or 0) + (tool_prompt or 0)
    if parts:
        if whole_in is None:
            text = None
        elif (left := whole_in - parts) >= 0:
            text = left
        else:
            text = 0
            cache_read, audio, image, cached_audio = _shared(
                -left, cache_read, audio, image, lenient=lenient, event=event
            )
    elif whole_in is None and whole_out is None and cache_read is None:
        return _NOT_SAID
    reasoning, audio_out = event.reasoning_tokens, event.audio_output_tokens
    text_out = whole_out
    if (parts_out := (reasoning or 0) + (audio_out or 0)) and whole_out is not None:
        text_out = whole_out - parts_out
        if text_out < 0:
            if not lenient:
                part = "reasoningTokens" if reasoning else "audioOutputTokens"
                raise TokensDisagree(part, "the parts of outputTokens exceed it")
            text_out = 0
    elif parts_out:
        text_out = None
    return Tokens(
        text, audio, image, tool_prompt, cache_read, cached_audio,
        write_5m, write_1h, write_other, text_out, reasoning, audio_out,
    )  # fmt: skip


def _says_lifetime(event: WireEvent) -> bool:
    return event.cache_write_5m_tokens is not None or event.cache_write_1h_tokens is not None


def _cache_writes(
    event: WireEvent, *, lenient: bool
) -> tuple[int, int | None, int | None, int | None]:
    """All writes, then those of 5 minutes, of 1 hour, and of a lifetime nobody told."""
    write_5m, write_1h = event.cache_write_5m_tokens, event.cache_write_1h_tokens
    told = (write_5m or 0) + (write_1h or 0)
    whole = told if event.cache_write_tokens is None else event.cache_write_tokens
    if told > whole:
        if not lenient:
            part = "cacheWrite5mTokens" if write_5m else "cacheWrite1hTokens"
            raise TokensDisagree(part, "the parts of cacheWriteTokens exceed it")
        whole = told
    other = whole - told
    return whole, write_5m, write_1h, other if other or not _says_lifetime(event) else None


def _shared(
    overlap: int,
    cache_read: int | None,
    audio: int | None,
    image: int | None,
    *,
    lenient: bool,
    event: WireEvent,
) -> tuple[int | None, int | None, int | None, int | None]:
    """Take tokens that were counted twice (as cached and by modality) out once."""
    cached_audio = min(overlap, cache_read or 0, audio or 0)
    cached_image = min(overlap - cached_audio, (cache_read or 0) - cached_audio, image or 0)
    if cached_audio + cached_image != overlap:
        if lenient:
            return cache_read, audio, image, None
        raise TokensDisagree(_largest_part(event), "the parts of inputTokens exceed it")
    return (
        (cache_read or 0) - cached_audio,
        None if audio is None else audio - cached_audio,
        None if image is None else image - cached_image,
        cached_audio or None,
    )


def _largest_part(event: WireEvent) -> str:
    parts = {
        "cacheReadTokens": event.cache_read_tokens,
        "cacheWriteTokens": event.cache_write_tokens,
        "audioInputTokens": event.audio_input_tokens,
        "imageInputTokens": event.image_input_tokens,
        "toolPromptTokens": event.tool_prompt_tokens,
    }
    return max(parts, key=lambda name: parts[name] or 0)
