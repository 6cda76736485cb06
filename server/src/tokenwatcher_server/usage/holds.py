"""Whether a scope holds any events at all."""

from tokenwatcher_server.events.query import EventFilter, Scope
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.usage.request import LONGEST_DAYS


async def holds_events(store: EventStore, scope: Scope, now_us: int) -> bool:
    """True where at least one event was ever stored in the scope."""
    everything = Period(now_us - LONGEST_DAYS * DAY_US, now_us + 2 * DAY_US)
    return bool(await store.events(EventFilter(scope=scope, period=everything, limit=1)))
