"""Durations in steps of about one per cent, counted: small, and added up by adding.

Below 64 ms a step is a millisecond; above, each doubling has 64 steps, so what a step stands for is
off by 0.55 per cent at most.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokenwatcher_server.stores.sql import QUANTILE_DIGITS

EXACT_BELOW: Final = 64
AN_OCTAVE: Final = 64
GREATEST_ERROR: Final = 2 ** (1 / (2 * AN_OCTAVE)) - 1

Counts = NDArray[np.int64]
"""How many durations each step has, by its number."""

NOTHING: Final = b""


def step_of(column: str) -> str:
    """The number of a duration's step, as SQL."""
    octaves = f"ln({column}::float8 / {EXACT_BELOW}) / {math.log(2)!r}"
    return (
        f"(case when {column} < {EXACT_BELOW} then {column}"
        f" else {EXACT_BELOW} + floor({octaves} * {AN_OCTAVE})::bigint end)"
    )


def pack(counted: dict[int, int]) -> bytes:
    """Counts by step as bytes: pairs of 32-bit numbers."""
    return np.array(list(counted.items()), "<i4").tobytes() if counted else NOTHING


def add_up(packed: list[bytes]) -> Counts:
    """The sum of many packed counts."""
    pairs = np.frombuffer(b"".join(packed), "<i4").reshape(-1, 2)
    if len(pairs) == 0:
        return np.zeros(0, np.int64)
    # float sums of whole numbers are exact below 2**53
    return np.bincount(pairs[:, 0], pairs[:, 1]).astype(np.int64)


def merge(packed: list[bytes]) -> bytes:
    """The sum of many packed counts, packed."""
    counts = add_up(packed)
    [steps] = np.nonzero(counts)
    return np.column_stack((steps, counts[steps])).astype("<i4").tobytes()


def quantile(counts: Counts, fraction: float) -> float | None:
    """The quantile of what the steps stand for; None of nothing."""
    upto = np.cumsum(counts)
    if len(upto) == 0 or upto[-1] == 0:
        return None
    place = (int(upto[-1]) - 1) * fraction
    low = int(place)
    ranks = [low, min(low + 1, int(upto[-1]) - 1)]
    below, above = (_stands_for(int(step)) for step in np.searchsorted(upto, ranks, side="right"))
    return round(below + (above - below) * (place - low), QUANTILE_DIGITS)


def _stands_for(step: int) -> float:
    if step < EXACT_BELOW:
        return float(step)
    return float(EXACT_BELOW * 2 ** ((step - EXACT_BELOW + 0.5) / AN_OCTAVE))
