"""Where calls are recorded: what a call needs of its client."""

from __future__ import annotations

from typing import NamedTuple

from tokenwatcher.begun import Call
from tokenwatcher.event import Facts, Tags
from tokenwatcher.recorder import Recorder
from tokenwatcher.settings import Settings


class Recording(NamedTuple):
    """The settings, the recorder and the tags of a client."""

    settings: Settings
    recorder: Recorder
    base_tags: Tags
    provider: str | None = None
    """Who answers, where the app says it; it goes before what a client's address tells."""

    def begin(self, facts: Facts) -> Call:
        """Begin a call now."""
        return Call(self.settings, self.recorder, self.base_tags, facts)

    def swallow(self, error: BaseException) -> None:
        """Count and log an error of our own."""
        self.recorder.tally.internal(error)
