"""Measures TokenWatcher against its targets, each figure beside its limit; see README.md."""
