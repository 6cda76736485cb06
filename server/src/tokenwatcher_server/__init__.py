"""TokenWatcher's server: what LLM calls cost, stored for good and explained."""

from importlib.metadata import version

__version__ = version("tokenwatcher-server")
