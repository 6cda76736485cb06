"""Compressed bodies: sound ones are read, bombs and damage refused under the limit."""

import gzip
import sys
import zlib
from collections.abc import Callable

import pytest

from tokenwatcher_server.ingest.encoding import decompress
from tokenwatcher_server.kernel.errors import AppError, Kind

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b'{"provider": "openai"}' * 100
LIMIT = 10_000


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    " deflate ": raw_deflate,
    "zstd": zstd.compress,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("coding", list(ENCODERS))
def test_every_coding_gives_the_body_back(coding: str) -> None:
    assert decompress(ENCODERS[coding](TEXT), coding, LIMIT) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_the_limit_counts_decompressed_bytes(coding: str) -> None:
    encode = ENCODERS[coding]
    assert len(decompress(encode(b"x" * LIMIT), coding, LIMIT)) == LIMIT
    for size in (LIMIT + 1, 50_000_000):
        with pytest.raises(AppError) as refused:
            decompress(encode(b"x" * size), coding, LIMIT)
        assert refused.value.kind is Kind.TOO_LARGE


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_body_cut_short_anywhere_is_refused(coding: str) -> None:
    whole = ENCODERS[coding](TEXT)
    for tenth in range(10):
        with pytest.raises(AppError) as refused:
            decompress(whole[: len(whole) * tenth // 10], coding, LIMIT)
        assert refused.value.kind is Kind.INVALID


def test_a_wrong_checksum_is_refused() -> None:
    whole = bytearray(gzip.compress(TEXT))
    whole[-6] ^= 1
    with pytest.raises(AppError):
        decompress(bytes(whole), "gzip", LIMIT)


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(AppError):
        decompress(gzip.compress(TEXT) + b"more", "gzip", LIMIT)


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "compress", "gzip,", "x" * 1000])
def test_an_unknown_coding_is_not_supported(coding: str) -> None:
    with pytest.raises(AppError) as refused:
        decompress(TEXT, coding, LIMIT)
    assert refused.value.kind is Kind.UNSUPPORTED


def test_a_zstd_frame_that_asks_for_a_huge_window_is_refused() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    frame = zstd.compress(b"x" * 20_000_000, options=options)
    with pytest.raises(AppError):
        decompress(frame, "zstd", 100_000_000)
