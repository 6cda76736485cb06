"""A run: a file of sorted fingerprints that is written once, and searched without loading it.

A header, then the first eight bytes of every fingerprint as sorted 64-bit numbers, then the
last four in the same order.
"""

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

High = NDArray[np.uint64]
Low = NDArray[np.uint32]

_MAGIC = b"TWFR"
_VERSION = 1
_HEADER = struct.Struct("<4sIQQQ32s")
_FINGERPRINT = np.dtype([("high", ">u8"), ("low", ">u4")])
_MERGED_AT_ONCE = 1 << 19


class Fingerprints(msgspec.Struct, frozen=True):
    """Fingerprints as two arrays, sorted by the first."""

    high: High
    low: Low

    @classmethod
    def of(cls, fingerprints: Sequence[bytes]) -> Self:
        raw = np.frombuffer(b"".join(fingerprints), _FINGERPRINT)
        high = raw["high"].astype(np.uint64)
        order = np.argsort(high, kind="stable")
        return cls(high[order], raw["low"].astype(np.uint32)[order])

    def __len__(self) -> int:
        return len(self.high)


class Coverage(msgspec.Struct, frozen=True):
    """The segments a run covers, and the chain's hash at the last of them."""

    first: int
    last: int
    hash: bytes

    @property
    def file_name(self) -> str:
        return f"{self.first:012d}-{self.last:012d}.run"


class Run:
    """An open run. Raises ValueError where the file isn't a whole one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            size = file.seek(0, os.SEEK_END)
            if len(header) < _HEADER.size:
                raise ValueError("cut short")
            magic, version, count, first, last, chain_hash = _HEADER.unpack(header)
            if (magic, version) != (_MAGIC, _VERSION) or size != _HEADER.size + 12 * count:
                raise ValueError("not a whole run of this version")
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self.coverage = Coverage(first, last, chain_hash)
        self.high: High = np.frombuffer(self._map, "<u8", count, _HEADER.size)
        self.low: Low = np.frombuffer(self._map, "<u4", count, _HEADER.size + 8 * count)

    def __len__(self) -> int:
        return len(self.high)

    def positions_of(self, wanted: Fingerprints) -> list[int]:
        """Which of the wanted ones the run holds."""
        if not len(self):
            return []
        found = np.searchsorted(self.high, wanted.high)
        found[found == len(self)] = 0
        candidates = np.flatnonzero(self.high[found] == wanted.high).tolist()
        return [
            position
            for position in candidates
            if self._holds(int(found[position]), wanted.high[position], wanted.low[position])
        ]

    def let_go(self) -> None:
        """Give the pages that were touched back to the system, which caches them as it can.

        Random searches soon touch them all, and each would count as this process's memory.
        """
        with suppress(AttributeError):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _holds(self, at: int, high: np.uint64, low: np.uint32) -> bool:
        while at < len(self) and self.high[at] == high:
            if self.low[at] == low:
                return True
            at += 1
        return False


def write_run(folder: Path, coverage: Coverage, fingerprints: Fingerprints) -> Run:
    return _write(folder, coverage, len(fingerprints), iter([fingerprints]))


def merge_runs(folder: Path, older: Run, newer: Run) -> Run:
    """Write two neighbouring runs as one, a stretch of the numbers at a time."""
    coverage = Coverage(older.coverage.first, newer.coverage.last, newer.coverage.hash)
    return _write(folder, coverage, len(older) + len(newer), _merged(older, newer))


def _merged(older: Run, newer: Run) -> Iterator[Fingerprints]:
    parts = max(1, (len(older) + len(newer)) // _MERGED_AT_ONCE)
    bounds = np.array([part * (1 << 64) // parts for part in range(1, parts)], np.uint64)
    cuts = [[0, *np.searchsorted(run.high, bounds).tolist(), len(run)] for run in (older, newer)]
    for part in range(parts):
        slices = [slice(cut[part], cut[part + 1]) for cut in cuts]
        high = np.concatenate([older.high[slices[0]], newer.high[slices[1]]])
        low = np.concatenate([older.low[slices[0]], newer.low[slices[1]]])
        order = np.argsort(high, kind="stable")
        yield Fingerprints(high[order], low[order])
        older.let_go()
        newer.let_go()


def _write(folder: Path, coverage: Coverage, count: int, parts: Iterator[Fingerprints]) -> Run:
    path = folder / coverage.file_name
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        fields = (count, coverage.first, coverage.last, coverage.hash)
        file.write(_HEADER.pack(_MAGIC, _VERSION, *fields))
        written = 0
        for part in parts:
            file.seek(_HEADER.size + 8 * written)
            file.write(part.high.astype("<u8").tobytes())
            file.seek(_HEADER.size + 8 * count + 4 * written)
            file.write(part.low.astype("<u4").tobytes())
            written += len(part)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    _sync_folder(folder)
    return Run(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
