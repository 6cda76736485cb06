"""Compressed bodies, decoded under a limit on the decompressed size."""

import sys
import zlib
from typing import Any

from tokenwatcher_server.kernel.errors import AppError, Kind, invalid

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGEST_ZSTD_WINDOW_LOG = 23  # 8 MiB: what the format asks every decoder to support
_GZIP_WBITS = 31


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo one content coding.

    Raises AppError: 415 for a coding other than identity, gzip, deflate or zstd, 413 over
    `limit` bytes, 400 for a body that is cut short or damaged.
    """
    coding = encoding.strip().lower()
    if coding in {"", "identity"}:
        return body
    try:
        if coding in {"gzip", "x-gzip"}:
            return _inflate(body, _GZIP_WBITS, limit)
        if coding == "deflate":
            return _inflate(body, _deflate_wbits(body), limit)
        if coding == "zstd":
            return _unzstd(body, limit)
    except (zlib.error, zstd.ZstdError, EOFError):
        raise invalid(f"The body is not sound {coding}.", code="MALFORMED_BODY") from None
    raise AppError(
        Kind.UNSUPPORTED,
        "UNSUPPORTED_ENCODING",
        "Content-Encoding must be identity, gzip, deflate or zstd.",
    )


def _deflate_wbits(body: bytes) -> int:
    """`deflate` means zlib's wrapper, but some senders leave it out; the header tells."""
    wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return 15 if wrapped else -15


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    decoder = zlib.decompressobj(wbits)
    return _whole(decoder, decoder.decompress(body, limit + 1), limit)


def _unzstd(body: bytes, limit: int) -> bytes:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: LARGEST_ZSTD_WINDOW_LOG}
    decoder = zstd.ZstdDecompressor(options=options)
    return _whole(decoder, decoder.decompress(body, limit + 1), limit)


def _whole(decoder: Any, decoded: bytes, limit: int) -> bytes:
    if len(decoded) > limit:
        raise too_large(limit)
    if not decoder.eof:
        raise EOFError
    if decoder.unused_data:
        raise invalid("The body goes on after its compressed end.", code="MALFORMED_BODY")
    return decoded


def too_large(limit: int) -> AppError:
    return AppError(Kind.TOO_LARGE, "BODY_TOO_LARGE", f"The body is larger than {limit:,} bytes.")
