"""The store that needs nothing installed: a journal in SQLite, and columns in DuckDB."""
