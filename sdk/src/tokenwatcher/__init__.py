"""Tells TokenWatcher what your LLM calls cost."""

from tokenwatcher.client import TokenWatcher
from tokenwatcher.tally import Stats
from tokenwatcher.transport import Answer, MemoryTransport, Transport

__version__ = "0.1.0"

__all__ = ["Answer", "MemoryTransport", "Stats", "TokenWatcher", "Transport", "__version__"]
