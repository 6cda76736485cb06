"""One call to a model, from its start to the event (or events) that it becomes."""

from __future__ import annotations

import time
from typing import Any

from tokenwatcher.context import within
from tokenwatcher.event import Event, Facts, Tags
from tokenwatcher.failure import describe, failure_in
from tokenwatcher.recorder import OpenStream, Recorder
from tokenwatcher.settings import Settings
from tokenwatcher.usage import shape_of
from tokenwatcher.usage.peek import copied, opened, text
from tokenwatcher.usage.reading import Failure, Reading
from tokenwatcher.usage.shape import Shape

_BEDROCK = {"bedrock", "aws", "aws_bedrock", "aws-bedrock", "amazon_bedrock", "amazon-bedrock"}


class Call:
    """A call that has begun. Its methods make events, and never raise."""

    __slots__ = ("_base_tags", "_began_ns", "_recorder", "_settings", "at_ns", "facts")

    def __init__(self, settings: Settings, recorder: Recorder, base: Tags, facts: Facts) -> None:
        self._settings = settings
        self._recorder = recorder
        self._base_tags = base
        self.facts = within(facts)
        self.at_ns = time.time_ns()
        self._began_ns = time.perf_counter_ns()

    def elapsed_ms(self) -> int:
        return (time.perf_counter_ns() - self._began_ns + 500_000) // 1_000_000

    def answered(
        self, answer: Any, *, fetched: bool = False, error: BaseException | None = None
    ) -> None:
        """Record a whole answer; one that is only fetched took a time that is not told.

        `error` is what the app got in the answer's place: it is paid for all the same.
        """
        latency_ms = None if fetched else self.elapsed_ms()
        try:
            answer = opened(answer)
            shape = shape_of(answer)
            provider = self.facts.provider or (shape.provider if shape else "unknown")
            held = self._held(shape, answer) if shape and error is None else None
            if shape and held is not None:
                self._record_unread(shape, held, provider, latency_ms)
                return
            reading = (
                shape.read(answer, provider) if shape else Reading(model=text(answer, "model"))
            )
            if error is not None:
                reading = reading._replace(failure=describe(error))
            if reading.quality == "missing" and reading.failure is None:
                failure = failure_in(answer)
                if failure is not None:
                    self.failed_with(failure, provider)
                    return
            self.record(reading, provider, latency_ms)
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            self._recorder.tally.internal(error)

    def said(self, reading: Reading, error: BaseException | None = None) -> None:
        """Record what the app says of its call, and the exception that ended it, if one did."""
        try:
            if error is not None:
                reading = reading._replace(failure=describe(error))
            self.record(reading, self.facts.provider or "unknown", self.elapsed_ms())
        except Exception as internal:  # noqa: BLE001  # nothing of ours may reach the app
            self._recorder.tally.internal(internal)

    def failed(self, error: BaseException) -> None:
        """Record an exception in place of an answer."""
        try:
            self.failed_with(describe(error), self.facts.provider or "unknown")
        except Exception as internal:  # noqa: BLE001  # nothing of ours may reach the app
            self._recorder.tally.internal(internal)

    def failed_with(self, failure: Failure, provider: str) -> None:
        if not self._settings.track_errors:
            return
        facts = self.facts
        self._recorder.record(
            Event(
                id=self._recorder.ids.new(),
                at_ns=self.at_ns,
                facts=facts,
                provider=provider,
                model=facts.model or "unknown",
                event_type="error",
                requested_service_tier=facts.service_tier,
                latency_ms=self.elapsed_ms(),
                request_id=failure.request_id,
                failure=failure,
                tags=_merged(self._base_tags, facts.tags),
                metadata=_with_failure(facts.metadata, failure),
                project_slug=self._settings.project_slug,
            )
        )

    def record(
        self,
        reading: Reading,
        provider: str,
        latency_ms: int | None,
        *,
        time_to_first_token_ms: int | None = None,
        streaming: bool = False,
        model: str | None = None,
    ) -> None:
        """Record what was read of an answer, and what other models did inside it."""
        event = self._event(
            self._recorder.ids.new(), reading, provider, latency_ms,
            model or _charged_model(reading, self.facts, provider),
        )  # fmt: skip
        if streaming:
            event = event._replace(streaming=True, time_to_first_token_ms=time_to_first_token_ms)
        self._recorder.record(event)
        for other in reading.also:
            self.record(other, provider, latency_ms, streaming=streaming, model=other.model)

    def _held(self, shape: Shape, answer: Any) -> dict[str, Any] | None:
        """Copy what there is to be read, if it is little and nothing else can change until then."""
        if not shape.fields or self.facts.tags or self.facts.metadata:
            return None
        if type(answer) is not dict or answer.get("usage") is None:
            return None
        return {name: copied(answer[name]) for name in shape.fields if name in answer}

    def _record_unread(
        self, shape: Shape, held: dict[str, Any], provider: str, latency_ms: int | None
    ) -> None:
        """Record an answer, and leave the reading to the sender's thread."""
        facts, name = self.facts, self._recorder.ids.new()
        model = facts.model or "unknown"

        def read() -> Event:
            try:
                reading = shape.read(held, provider)
                charged = _charged_model(reading, facts, provider)
            except Exception as error:  # noqa: BLE001  # the call is recorded all the same
                self.swallow(error)
                reading, charged = Reading(), model
            return self._event(name, reading, provider, latency_ms, charged)

        self._recorder.record(Event(name, self.at_ns, facts, provider, model, unread=read))

    def _event(
        self, name: str, reading: Reading, provider: str, latency_ms: int | None, model: str
    ) -> Event:
        """Make an event of a reading; perhaps on the sender's thread, so of what is kept here."""
        facts, tier = self.facts, reading.service_tier
        return Event(
            id=name,
            at_ns=self.at_ns,
            facts=facts,
            provider=provider,
            model=model,
            tokens=reading.tokens,
            quality=reading.quality,
            requested_model=facts.model if facts.model != model else None,
            service_tier=tier or facts.service_tier,
            requested_service_tier=facts.service_tier if facts.service_tier != tier else None,
            server_tool_calls=reading.server_tool_calls,
            reported_cost_usd=reading.reported_cost_usd,
            latency_ms=latency_ms,
            streaming=False,
            request_id=reading.request_id,
            response_id=reading.response_id,
            failure=reading.failure if self._settings.track_errors else None,
            tags=_merged(self._base_tags, facts.tags),
            metadata=_merged(facts.metadata, reading.notes),
            project_slug=self._settings.project_slug,
        )

    def opened(self, stream: OpenStream) -> None:
        """Know of a stream, so that it is recorded at the latest when the process ends."""
        self._recorder.opened(stream)

    def closed(self, stream: OpenStream) -> None:
        self._recorder.open_streams.discard(stream)

    @property
    def process(self) -> object:
        """Something that is another in a forked process."""
        return self._recorder.ids

    def swallow(self, error: BaseException) -> None:
        """Note an error of our own."""
        self._recorder.tally.internal(error)


def _charged_model(reading: Reading, facts: Facts, provider: str) -> str:
    """Bedrock charges the id that was asked for, with its region; the body names the vendor's."""
    if provider in _BEDROCK and facts.model:
        return facts.model
    return reading.model or facts.model or "unknown"


def _with_failure(metadata: Tags | None, failure: Failure) -> Tags | None:
    told: dict[str, Any] = {}
    if failure.status is not None:
        told["httpStatus"] = failure.status
    if failure.code is not None:
        told["errorCode"] = failure.code
    return _merged(metadata, told)


def _merged(own: Tags | None, more: Tags | None) -> Tags | None:
    """Put two mappings together in a new one, which the app can't change any more."""
    if not own and not more:
        return None
    return {**(own or {}), **(more or {})} or None
