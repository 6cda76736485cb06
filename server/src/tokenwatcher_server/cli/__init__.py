"""The `tokenwatcher` command."""
