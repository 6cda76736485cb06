"""A call that the app makes in its own way: `with tw.call("openai", "gpt-4o") as call: ...`."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from tokenwatcher.usage.reading import Reading, Tokens, quality_of

if TYPE_CHECKING:
    from tokenwatcher.begun import Call, Recording
    from tokenwatcher.event import Facts


class OpenCall:
    """Measures the block it is used in, and records what was said of the call in it.

    Works with `with` and `async with`. An exception is recorded and goes on unchanged.
    """

    def __init__(self, recording: Recording | None, facts: Facts) -> None:
        self._recording = recording
        """None where nothing is recorded."""
        self._facts = facts
        self._call: Call | None = None
        self._reading: Reading | None = None
        self._answer: Any = None

    def usage(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        *,
        model: str | None = None,
        response_id: str | None = None,
        service_tier: str | None = None,
        **parts: int | None,
    ) -> None:
        """Say what the call used; `parts` are the other counts of `track_manual`.

        `model` and `service_tier` are those of the answer. Raises TypeError for a count that
        there is not.
        """
        tokens = Tokens(input_tokens, output_tokens, **parts)
        self._reading = Reading(
            tokens, quality_of(tokens), model, response_id, service_tier=service_tier
        )

    def answer(self, answer: Any) -> None:
        """Give the provider's answer, to be read when the block ends."""
        self._answer = answer

    def __enter__(self) -> OpenCall:
        if self._recording is not None:
            self._call = self._recording.begin(self._facts)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        call = self._call
        if call is None:
            return
        if self._answer is not None:
            call.answered(self._answer, error=error)
        elif error is not None and self._reading is None:
            call.failed(error)
        else:
            call.said(self._reading or Reading(), error)

    async def __aenter__(self) -> OpenCall:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)
