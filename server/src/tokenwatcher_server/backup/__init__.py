"""Copies of a whole instance: made while it runs, checked by restoring them, and restored."""
