"""Events in PostgreSQL, for several servers at once."""
