"""Tells TokenWatcher what your LLM calls cost.

`import tokenwatcher as tw`, then `tw.init()` and `client = tw.wrap(OpenAI())`.
"""

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
