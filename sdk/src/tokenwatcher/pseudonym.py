"""User ids that leave the process as keyed hashes: the same person, but not who."""

from __future__ import annotations

import hashlib
import hmac

from tokenwatcher.event import Event

_PREFIX = "hmac_"
_HEX_DIGITS = 32


class Pseudonyms:
    """Replaces `user_id` and `end_user_id` by their HMAC-SHA-256 under a key.

    The same id under the same key gives the same name, on every machine and in every process;
    without the key, ids can't be tried out against the names.
    """

    def __init__(self, key: str) -> None:
        self._keyed = hmac.new(key.encode(), digestmod=hashlib.sha256)

    def of(self, user_id: str) -> str:
        """The name that stands for an id."""
        keyed = self._keyed.copy()
        keyed.update(user_id.encode("utf-8", "surrogatepass"))
        return f"{_PREFIX}{keyed.hexdigest()[:_HEX_DIGITS]}"

    def in_place_of_users(self, event: Event) -> Event:
        """The event with names for its user ids."""
        facts = event.facts
        if facts.user_id is None and facts.end_user_id is None:
            return event
        user_id, end_user_id = (
            None if each is None else self.of(str(each))
            for each in (facts.user_id, facts.end_user_id)
        )
        return event._replace(facts=facts._replace(user_id=user_id, end_user_id=end_user_id))
