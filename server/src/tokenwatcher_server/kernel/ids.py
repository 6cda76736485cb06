"""Identifiers. All of ours are UUIDv7 text: unique, and in the order they were made."""

from typing import NewType

from uuid_utils import uuid7

WorkspaceId = NewType("WorkspaceId", str)
ProjectId = NewType("ProjectId", str)
KeyId = NewType("KeyId", str)
UserId = NewType("UserId", str)


def new_id() -> str:
    return str(uuid7())
