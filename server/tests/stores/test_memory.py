"""What the store keeps in memory does not grow with what it holds."""

import os
import re
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tokenwatcher_server.stores.embedded.response_index import RUN_ROWS, ResponseIndex

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


def _mapped_kb(folder: Path) -> int:
    """How much of a folder's files is in this process's memory."""
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.M)
    sizes = [re.search(r"^Rss: +(\d+)", part, re.M) for part in parts if str(folder) in part]
    return sum(int(size[1]) for size in sizes if size)


@LINUX
def test_a_search_among_old_answers_leaves_none_of_them_in_memory(tmp_path: Path) -> None:
    known = [os.urandom(12) for _ in range(RUN_ROWS)]
    with closing(ResponseIndex(tmp_path, lambda _: None)) as index:
        index.add(known, sequence=1, chain_hash=bytes(32), rows=RUN_ROWS)
    with closing(ResponseIndex(tmp_path, lambda _: bytes(32))) as index:
        asked = [os.urandom(12) for _ in range(1_000)]
        assert index.find([*asked, *known[:1_000]]) == set(known[:1_000])
        assert next(tmp_path.glob("*.run")).stat().st_size > 12 * RUN_ROWS
        assert _mapped_kb(tmp_path) == 0
