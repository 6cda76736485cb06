"""Who may come in, and what they may see: keys, people, sessions, workspaces and projects."""
