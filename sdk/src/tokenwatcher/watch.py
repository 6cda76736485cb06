"""What is seen of one stream: the call is recorded once, however the stream ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenwatcher.begun import Call
from tokenwatcher.estimate import estimated
from tokenwatcher.failure import describe
from tokenwatcher.usage import held_as, shape_of_chunk
from tokenwatcher.usage.reading import Failure, Reading
from tokenwatcher.usage.shape import Shape, Stream


class Watch:
    """Takes note of the pieces of a stream. Its methods never raise.

    `asked` is the body of the request, where it is at hand: what the provider does not say is
    then estimated from it. `request_id` is the provider's, for pieces that don't name it. `counts`
    tells of what has come whether it is to be recorded, and `fetched` that it is only fetched, so
    that how long it took is not told.
    """

    def __init__(
        self,
        call: Call,
        *,
        asked: dict[str, Any] | None = None,
        request_id: str | None = None,
        counts: Callable[[Any], bool] | None = None,
        fetched: bool = False,
    ) -> None:
        self._call = call
        self._asked = asked
        self._request_id = request_id
        self._counts = counts
        self._fetched = fetched
        self._shape: Shape | None = None
        self._fold: Callable[[Stream, Any], None] | None = None
        self._seen = Stream()
        self._first_token_ms: int | None = None
        self._ended = False
        self._process = call.process
        self.stepping = False
        """A piece is being waited for, so closing is the library's own doing."""
        call.opened(self)

    def piece(self, chunk: Any) -> None:
        try:
            if self._fold is None:
                self._shape = shape_of_chunk(chunk)
                if self._shape is None:
                    return
                self._fold = self._shape.fold
            self._fold(self._seen, chunk)
            if self._first_token_ms is None and self._seen.generating:
                self._first_token_ms = self._call.elapsed_ms()
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            self._call.swallow(error)

    def broke(self, error: BaseException) -> None:
        """Record a stream that raised: what is no error (a cancelled task) is the app's leaving."""
        if isinstance(error, Exception):
            self.end("provider_error", error)
        else:
            self.end("client_abort")

    def end(self, outcome: str, why: BaseException | Failure | None = None) -> None:
        """Record the call, once: `complete`, `client_abort` or `provider_error`."""
        # a forked child has a copy of its parent's streams, which are the parent's to record
        if self._ended or self._process is not self._call.process:
            return
        self._ended = True
        try:
            shape, answer = self._shape, self._seen.answer
            if shape is not None and outcome == "complete" and self._seen.final:
                if self._request_id is not None:
                    answer.setdefault("_request_id", self._request_id)
                held = held_as(shape, answer)
                if held is not None:
                    self._call.closed(self)
                    self._call.streamed(held, self._first_token_ms)
                    return
            facts = self._call.facts
            provider = facts.provider or (shape.provider if shape else "unknown")
            reading = shape.read(answer, provider) if shape else Reading()
            self._call.closed(self)
            if self._counts is not None and not self._counts(self._seen.answer):
                return
            if shape is None and isinstance(why, Exception):
                # some libraries make the request when the first piece is asked for
                self._call.failed(why)
                return
            self._call.record(
                self._judged(reading, outcome, why),
                provider,
                None if self._fetched else self._call.elapsed_ms(),
                time_to_first_token_ms=None if self._fetched else self._first_token_ms,
                streaming=True,
            )
        except Exception as internal:  # noqa: BLE001  # nothing of ours may reach the app
            self._call.swallow(internal)

    def _judged(
        self, reading: Reading, outcome: str, why: BaseException | Failure | None
    ) -> Reading:
        """Counts that were not the last ones are partial; a break is told with its reason."""
        if reading.request_id is None and self._request_id is not None:
            reading = reading._replace(request_id=self._request_id)
        cut = outcome != "complete" and not self._seen.final
        silent = reading.quality == "missing" and not self._seen.final
        if self._asked is not None and (cut or silent):
            reading = estimated(reading, self._asked, self._seen.generated)
        if outcome == "complete":
            return reading
        if reading.quality == "final" and cut:
            reading = reading._replace(quality="partial")
        notes = {**(reading.notes or {}), "streamOutcome": outcome}
        failure = describe(why) if isinstance(why, BaseException) else why
        return reading._replace(notes=notes, failure=failure or reading.failure)
