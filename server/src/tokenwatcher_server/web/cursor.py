"""Cursors of lists that are newest first: the instant and the id of the last one shown."""

import base64
import binascii
import re

from tokenwatcher_server.usage.parameters import Reader

_MICROSECONDS = re.compile(r"[0-9]{1,18}\Z", re.ASCII)


def encode_place(at_us: int, identifier: str) -> str:
    return base64.urlsafe_b64encode(f"{at_us}:{identifier}".encode()).decode()


def decode_place(cursor: str) -> tuple[int, str] | None:
    """The instant and the id after which a page begins, None for anything that is no cursor."""
    try:
        text = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    at_us, _, identifier = text.partition(":")
    if not identifier or not _MICROSECONDS.match(at_us):
        return None
    return int(at_us), identifier


def read_cursor(reader: Reader) -> tuple[int, str] | None:
    """The `cursor` of an address, None where it has none."""
    cursor = reader.one("cursor")
    found = decode_place(cursor) if cursor else None
    if cursor and found is None:
        reader.wrong("cursor", "is not a cursor of this list")
    return found
