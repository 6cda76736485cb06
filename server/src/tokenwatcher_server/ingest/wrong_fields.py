"""What is wrong with a body that could not be decoded: every field of an event by its path."""

import re
from typing import Final

import msgspec

from tokenwatcher_server.ingest.wire import WireEvent
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MISSING = re.compile(r"Object missing required field (?P<field>\w+)$")
_BRACKETED_KEY = re.compile(r"\[\.\.\.\]")
_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FIELDS = [
    (field.encode_name, field.required, msgspec.json.Decoder(field.type))
    for field in msgspec.structs.fields(WireEvent)
]


def wrong_fields(raw: bytes | msgspec.Raw, error: Exception, path: str = "") -> list[Issue]:
    """Every field of the event that is missing or can't be what it is; `error` says the first.

    Raises AppError where it is no JSON at all.
    """
    first = issues_of(error, path)
    try:
        members = _members.decode(raw)
    except UNREADABLE:
        return first
    found: list[Issue] = []
    for name, required, decoder in _FIELDS:
        if name not in members:
            found += [Issue(joined(path, name), "is required")] if required else []
            continue
        try:
            decoder.decode(members[name])
        except UNREADABLE as wrong:
            found += issues_of(wrong, joined(path, name))
    return found or first


def issues_of(error: Exception, prefix: str = "") -> list[Issue]:
    """What a decoder says, with the path of the field; raises AppError for what is no JSON."""
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        found = _PATH.search(text)
        path = _BRACKETED_KEY.sub("", found["path"]) if found else ""
        message = _PATH.sub("", text).replace("`", "")
        if missing := _MISSING.match(message):
            return [Issue(joined(prefix, joined(path, missing["field"])), "is required")]
        return [Issue(joined(prefix, path), message)]
    raise AppError(Kind.INVALID, "MALFORMED_JSON", "The body is not well-formed JSON in UTF-8.")


def joined(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if prefix and path else prefix or path
