"""The last commit's number, in eight bytes of a mapped file: noting it costs next to nothing.

What was acknowledged since the derived files were last written is in the journal alone. Should
the newest part of the journal get lost after a crash, this still knows that there was one.
"""

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path

NAME = "last"
_NUMBER = struct.Struct("<Q")


class LastCommit:
    """Notes the number. It outlives the process; what a power cut leaves of it may be older.

    A disk without room for eight bytes leaves it without a note, and does not stop a start.
    """

    def __init__(self, folder: Path) -> None:
        self._map: mmap.mmap | None = None
        with suppress(OSError):
            descriptor = os.open(folder / NAME, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                # written, not only made as long: a page without a place on disk ends the process
                os.pwrite(descriptor, bytes(_NUMBER.size), 0)
                self._map = mmap.mmap(descriptor, _NUMBER.size)
            finally:
                os.close(descriptor)

    def note(self, sequence: int) -> None:
        if self._map is not None:
            _NUMBER.pack_into(self._map, 0, sequence)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()


def last_commit(folder: Path) -> int:
    """Give the number that was noted, 0 where there is none."""
    with suppress(OSError, struct.error):
        return int(_NUMBER.unpack((folder / NAME).read_bytes())[0])
    return 0
