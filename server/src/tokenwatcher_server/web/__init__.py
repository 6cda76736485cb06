"""The HTTP edge: every URL, and nothing that decides."""
