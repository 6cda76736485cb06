"""`python -m tokenwatcher_server` is the `tokenwatcher` command."""

from tokenwatcher_server.cli.main import main

main()
