"""`python slow_disk.py SECONDS COMMITS serve ...`: the server, on a slow disk.

So much longer the disk takes to make the first so many commits durable.
"""

import sys
import time

from tokenwatcher_server.cli.main import main
from tokenwatcher_server.stores.embedded.chain import Link
from tokenwatcher_server.stores.embedded.journal import Journal, NewEvents

seconds, slow_commits = float(sys.argv.pop(1)), iter(range(int(sys.argv.pop(1))))
commit_events = Journal.commit_events


def commit_slowly(self: Journal, new: NewEvents) -> Link:
    if next(slow_commits, None) is not None:
        time.sleep(seconds)
    return commit_events(self, new)


Journal.commit_events = commit_slowly  # type: ignore[method-assign]
main()
