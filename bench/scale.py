"""How much is measured: the whole in minutes, or a quick look in under one."""

from pathlib import Path

import msgspec


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    small_store: int
    """Events in the store that stands for a million."""
    large_store: int
    """Events in the store that stands for ten million."""
    batched: int
    """Events sent in batches of 100."""
    single: int
    """Events sent one by one to an empty store."""
    single_on_large: int
    """Events sent one by one to the large store."""
    limits: int
    """The most events that a limit is measured with."""
    priced: int
    repeats: int
    """How often a query is asked."""
    wrapped: int
    """Calls made through each client, plain and wrapped."""
    load_seconds: float
    """How long queries are asked under full load."""


FULL = Scale(
    name="full",
    small_store=1_000_000,
    large_store=10_000_000,
    batched=1_000_000,
    single=200_000,
    single_on_large=1_000_000,
    limits=400_000,
    priced=300_000,
    repeats=15,
    wrapped=3_000,
    load_seconds=15.0,
)
QUICK = Scale(
    name="quick",
    small_store=30_000,
    large_store=100_000,
    batched=40_000,
    single=4_000,
    single_on_large=3_000,
    limits=20_000,
    priced=30_000,
    repeats=5,
    wrapped=300,
    load_seconds=1.5,
)


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """One run: how much, where its files go, and whether the servers are sampled."""

    scale: Scale
    scratch: Path
    profile: bool


def millions(events: int) -> str:
    """`10 M`, `200 k`: how a table names a store's size."""
    return f"{events / 1e6:g} M" if events >= 1_000_000 else f"{events / 1e3:g} k"
