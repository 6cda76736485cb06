"""A place that alerts are sent to, and the request that takes one there."""

from collections.abc import Mapping

import msgspec


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """`url` and `secrets` are secret: opened for one delivery, never shown or logged."""

    id: str
    kind: str
    name: str
    url: str
    secrets: tuple[str, ...] = ()
    """What a webhook is signed with, the newest first; a key that goes into the message."""
    page: str | None = None
    """Where people find the alerts, or the one that is told; None where the server doesn't know its
    own address."""


class Message(msgspec.Struct, frozen=True):
    """A POST to the channel's URL."""

    headers: Mapping[str, str]
    body: bytes
