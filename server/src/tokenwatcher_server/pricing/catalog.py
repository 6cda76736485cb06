"""The price list that comes with the server: `catalog.jsonl`, read as rate lines.

The file is made from genai-prices by `scripts/generate_catalog.py`. One line is one model;
a provider's models are decoded when the first call to that provider is priced, so the list
costs a few milliseconds at start and no memory for providers nobody uses.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import msgspec

from tokenwatcher_server.kernel.clock import DAY_US, to_us
from tokenwatcher_server.pricing.rates import (
    STANDARD,
    ContextTier,
    RateLine,
    bucket_rates,
    identified,
)

CATALOG_FILE = Path(__file__).with_name("catalog.jsonl")
_PROVIDER_LINE = b'{"provider":'
# these go out in the same count as text and cost another price: without their share, no price
_HIDDEN_IN_OUTPUT = frozenset({"output image", "output video"})
FINE_TUNE = re.compile(r"(^|[:/._-])ft([:.-]|$)|fine-?tun|^tunedmodels/|custom-model")


class ListedPrice(msgspec.Struct, frozen=True, gc=False):
    """One price of a model as the file has it, in picodollars per unit."""

    rates: dict[str, int] = {}
    above: list[tuple[int, dict[str, int]]] = []
    calls: dict[str, int] = {}
    request: int = 0
    uncounted: list[str] = []
    tier: str = STANDARD
    starts: str | None = msgspec.field(name="from", default=None)
    daily: tuple[str, str] | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.rates or self.calls or self.request or self.uncounted)


class ListedModel(msgspec.Struct, frozen=True, gc=False):
    """One model as the file has it: the names it goes by, and its prices."""

    model: str
    prices: list[ListedPrice]
    names: list[str] | None = None
    patterns: list[list[str]] = []


class _Header(msgspec.Struct, frozen=True):
    source: str
    version: str


class _ProviderLine(msgspec.Struct, frozen=True):
    provider: str
    fallbacks: tuple[str, ...] = ()


class ListedProvider:
    """The models of one provider, found by name. The first in the list that matches is taken."""

    def __init__(self, name: str, fallbacks: tuple[str, ...], lines: Sequence[bytes]) -> None:
        self.name = name
        self.fallbacks = fallbacks
        """Providers whose price list also holds here, such as OpenAI's on Azure."""
        self._lines = lines

    def find(self, name: str) -> ListedModel | None:
        """Find the model that goes by a lower-case name.

        A fine-tuned model is found only where the list itself speaks of fine-tuned models.
        """
        tuned = FINE_TUNE.search(name) is not None
        position = self._by_name.get(name)
        for candidate, parts in self._patterns:
            if position is not None and candidate > position:
                break
            if tuned and not any(FINE_TUNE.search(part[1:]) for part in parts):
                continue
            if all(_holds(part, name) for part in parts):
                return self._models[candidate]
        return None if position is None else self._models[position]

    def called(self, identity: str) -> ListedModel | None:
        """Find the model by the list's own name for it."""
        return next((m for m in self._models if m.model == identity), None)

    @cached_property
    def _models(self) -> list[ListedModel]:
        decoder = msgspec.json.Decoder(ListedModel)
        return [decoder.decode(line) for line in self._lines]

    @cached_property
    def _by_name(self) -> dict[str, int]:
        positions: dict[str, int] = {}
        for position, model in enumerate(self._models):
            for name in [model.model.lower()] if model.names is None else model.names:
                positions.setdefault(name, position)
        return positions

    @cached_property
    def _patterns(self) -> list[tuple[int, list[str]]]:
        return [(i, parts) for i, model in enumerate(self._models) for parts in model.patterns]


def _holds(part: str, name: str) -> bool:
    kind, text = part[0], part[1:]
    if kind == "^":
        return name.startswith(text)
    if kind == "$":
        return name.endswith(text)
    if kind == "~":
        return text in name
    return re.search(text, name) is not None


class Catalog:
    """The whole list. Reading it makes no rate lines; `rate_lines` makes those of one model."""

    def __init__(self, file: Path = CATALOG_FILE) -> None:
        header, *lines = file.read_bytes().splitlines()
        read = msgspec.json.decode(header, type=_Header)
        self.source = read.source
        self.version = read.version
        self.providers = {provider.name: provider for provider in _providers(lines)}

    def rate_lines(self, provider: str, model: ListedModel, tier: str) -> tuple[RateLine, ...]:
        """The lines of a model in a tier; where several hold at an instant, the first does.

        Empty where the list has no price for that tier at all.
        """
        prices = [price for price in model.prices if price.tier == tier and not price.is_empty]
        dated = [price for price in prices if price.daily is None]
        starts = [None if p.starts is None else _midnight(p.starts) for p in dated]
        ends = [later for _, later in pairwise([*starts, None])]
        lines = [
            self._line(provider, model.model, price, start, end)
            for price, start, end in zip(dated, starts, ends, strict=True)
        ]
        lines += [self._line(provider, model.model, p) for p in prices if p.daily is not None]
        return tuple(reversed(lines))

    def _line(
        self,
        provider: str,
        model: str,
        price: ListedPrice,
        start: int | None = None,
        end: int | None = None,
    ) -> RateLine:
        hidden = not _HIDDEN_IN_OUTPUT.isdisjoint(price.uncounted)
        kinds = [price.rates, *(rates for _, rates in price.above)]
        if hidden:
            kinds = [{k: rate for k, rate in rates.items() if k != "output"} for rates in kinds]
        rates, *context = map(bucket_rates, kinds)
        tiers = zip((above for above, _ in price.above), context, strict=True)
        return identified(
            RateLine(
                provider=provider,
                model=model,
                service_tier=price.tier,
                rates=rates,
                context_tiers=tuple(ContextTier(above, rates) for above, rates in tiers),
                calls=price.calls,
                per_request=price.request,
                valid_from=start,
                valid_to=end,
                daily=None if price.daily is None else _daily(*price.daily),
                uncounted=tuple(price.uncounted),
                source=self.source,
                source_version=self.version,
            )
        )


def _providers(lines: Sequence[bytes]) -> Iterator[ListedProvider]:
    heads = [i for i, line in enumerate(lines) if line.startswith(_PROVIDER_LINE)]
    for start, end in pairwise([*heads, len(lines)]):
        head = msgspec.json.decode(lines[start], type=_ProviderLine)
        yield ListedProvider(head.provider, head.fallbacks, lines[start + 1 : end])


def _midnight(day: str) -> int:
    return to_us(datetime.fromisoformat(day).replace(tzinfo=UTC))


def _daily(start: str, end: str) -> tuple[int, int]:
    hours, minutes = DAY_US // 24, DAY_US // 24 // 60
    (h1, m1), (h2, m2) = ((int(part) for part in text.split(":")) for text in (start, end))
    return h1 * hours + m1 * minutes, h2 * hours + m2 * minutes
