"""One colour for each model, on every page and under every filter."""

import hashlib
from collections.abc import Iterable

SLOTS = 8
"""How many colours there are; `static/tokens.css` has one for each and a grey for the rest."""

ModelKey = tuple[str, str]
"""Provider and model."""


def colours(models: Iterable[ModelKey]) -> dict[ModelKey, int]:
    """Give every model a slot from 1 to SLOTS, the costliest first.

    A model asks for the slot that its name hashes to and takes the next free one where that is
    taken, so the eight costliest never share a colour, and a newcomer moves nobody who
    costs more. The models must be those of the whole scope, not of a filter or a chosen period.
    """
    taken: dict[ModelKey, int] = {}
    free = set(range(1, SLOTS + 1))
    for model in models:
        slot = preferred_slot(model)
        while free and slot not in free:
            slot = slot % SLOTS + 1
        free.discard(slot)
        taken[model] = slot
    return taken


def preferred_slot(model: ModelKey) -> int:
    """The slot a model has where none that costs more has it; the same on every machine."""
    digest = hashlib.sha256("\0".join(model).encode()).hexdigest()
    return int(digest[:14], 16) % SLOTS + 1
