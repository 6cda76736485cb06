"""Control data: workspaces, projects, keys, people and prices, in SQLite or PostgreSQL."""
