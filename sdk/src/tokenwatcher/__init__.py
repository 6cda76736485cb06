"""Tells TokenWatcher what your LLM calls cost.

`import tokenwatcher as tw`, then `tw.init()` and `client = tw.wrap(OpenAI())`. What is named here is
imported when it is first used, so that an app which only might use it starts as fast as before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenwatcher.client import TokenWatcher
    from tokenwatcher.context import propagate, tags
    from tokenwatcher.default import (
        call,
        flush,
        flush_after,
        init,
        instrument,
        observe,
        shutdown,
        stats,
        track,
        track_error,
        track_manual,
        track_stream,
        uninstrument,
        wrap,
    )
    from tokenwatcher.tally import Stats
    from tokenwatcher.transport import Answer, MemoryTransport, Transport

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "MemoryTransport",
    "Stats",
    "TokenWatcher",
    "Transport",
    "__version__",
    "call",
    "flush",
    "flush_after",
    "init",
    "instrument",
    "observe",
    "propagate",
    "shutdown",
    "stats",
    "tags",
    "track",
    "track_error",
    "track_manual",
    "track_stream",
    "uninstrument",
    "wrap",
]

_ELSEWHERE = {
    "Answer": "transport",
    "MemoryTransport": "transport",
    "Stats": "tally",
    "TokenWatcher": "client",
    "Transport": "transport",
    "propagate": "context",
    "tags": "context",
}
"""The modules of those names that are not functions of the default client."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tokenwatcher' has no attribute {name!r}")
    found = getattr(import_module(f"tokenwatcher.{_ELSEWHERE.get(name, 'default')}"), name)
    globals()[name] = found
    return found
