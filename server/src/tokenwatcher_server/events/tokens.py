"""Token counts as disjoint buckets: their sum is the whole, and nothing is paid for twice.

The wire speaks in wholes (`inputTokens` holds the cached ones too); prices apply to buckets.
`None` means the provider did not say, which is not the same as 0.
"""

import msgspec

INPUT_BUCKETS = (
    "input_text",
    "input_audio",
    "input_image",
    "input_tool_prompt",
    "cache_read",
    "cache_read_audio",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_other",
)
OUTPUT_BUCKETS = ("output_text", "output_reasoning", "output_audio")
BUCKETS = INPUT_BUCKETS + OUTPUT_BUCKETS


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """One call's tokens, each counted in exactly one bucket. The order is that of BUCKETS."""

    input_text: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    input_tool_prompt: int | None = None
    cache_read: int | None = None
    cache_read_audio: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    cache_write_other: int | None = None
    output_text: int | None = None
    output_reasoning: int | None = None
    output_audio: int | None = None


class TokensDisagree(ValueError):
    """The parts don't fit into their whole; `part` is the wire name of the culprit."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part
