"""Tells TokenWatcher what your LLM calls cost."""
