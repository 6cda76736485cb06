"""What happens to every request before its handler, and to every answer after it."""
