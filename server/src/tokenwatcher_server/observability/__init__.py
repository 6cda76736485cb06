"""Logs that hold no secret, and counters."""
