"""Counts that a provider did not say, because its stream was left or it never says them.

A token is taken to be four bytes of UTF-8, which is near the truth for prose in most languages.
What is counted so is marked as estimated, and never takes the place of what the provider said.
"""

from __future__ import annotations

import json
from typing import Any

from tokenwatcher.usage.peek import opened, size
from tokenwatcher.usage.reading import Reading

BYTES_PER_TOKEN = 4
_TEXTS = frozenset(
    {
        "messages", "input", "prompt", "system", "instructions", "tools", "functions", "contents",
        "config", "toolConfig", "message", "chat_history", "preamble", "documents", "suffix", "body",
    }
)  # fmt: skip
"""The parts of a request's body that are read as a prompt."""
_NO_TEXT = frozenset({"data", "url", "file_data", "image_url", "encrypted_content", "signature"})
_DEEPEST = 12


def estimated(reading: Reading, asked: dict[str, Any], generated: int) -> Reading:
    """Fill in what is missing of a stream of which `generated` bytes of text have come.

    Where nothing was generated nothing is known, and the reading stays as it is.
    """
    if not generated:
        return reading
    tokens = reading.tokens
    output = max(tokens.output_tokens or 0, _tokens(generated))
    asked_for = tokens.input_tokens
    if asked_for is None:
        asked_for = _tokens(sum(_bytes_in(asked[name]) for name in _TEXTS & asked.keys()))
    tokens = tokens._replace(input_tokens=asked_for, output_tokens=output)
    return reading._replace(tokens=tokens, quality="estimated")


def _bytes_in(value: Any, depth: int = 0) -> int:
    """Count the text within a part of a request, pictures and files left out."""
    if isinstance(value, str):
        return 0 if value.startswith("data:") else size(value)
    if depth == _DEEPEST:
        return 0
    if isinstance(value, bytes):  # a body that the app has written as JSON itself
        value = _parsed(value)
    value = opened(value)
    if isinstance(value, dict):
        return sum(
            _bytes_in(inner, depth + 1) for name, inner in value.items() if name not in _NO_TEXT
        )
    if isinstance(value, (list, tuple)):
        return sum(_bytes_in(inner, depth + 1) for inner in value)
    return 0


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _tokens(number_of_bytes: int) -> int:
    return -(-number_of_bytes // BYTES_PER_TOKEN)
