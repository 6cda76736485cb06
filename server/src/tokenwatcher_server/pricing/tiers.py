"""The service tiers that change a price, under the names that providers give them."""

from tokenwatcher_server.pricing.rates import STANDARD

_TIERS = {
    "": STANDARD,
    "auto": STANDARD,
    "default": STANDARD,
    "on-demand": STANDARD,
    "regular": STANDARD,
    "standard": STANDARD,
    "standard-only": STANDARD,
    "traffic-type-unspecified": STANDARD,
    "unspecified": STANDARD,
    "batch": "batch",
    "batches": "batch",
    "on-demand-flex": "flex",
    "flex": "flex",
    "on-demand-priority": "priority",
    "priority": "priority",
    "fast": "fast",
}
# paid for by the hour or the month, whatever is sent through it
_CAPACITY = frozenset({"provisioned-throughput", "provisioned", "ptu", "reserved", "scale"})


def canonical_tier(said: str | None) -> str:
    """One spelling for a tier; a name nobody knows stays itself and will have no price."""
    if said is None:
        return STANDARD
    name = said.strip().lower().replace("_", "-")
    return _TIERS.get(name, name)


def no_price_in(tier: str) -> str:
    """Why a model with a price has none in this tier."""
    if tier in _CAPACITY:
        return "bought as capacity: its tokens have no price of their own"
    return f"no price is known for the service tier '{tier}'"
