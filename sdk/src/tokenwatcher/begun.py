"""One call to a model, from its start to the event (or events) that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from time import perf_counter_ns, time_ns
from typing import Any, NamedTuple

from tokenwatcher.context import AROUND, around, within
from tokenwatcher.event import Event, Facts, Tags
from tokenwatcher.failure import describe, failure_in
from tokenwatcher.recorder import OpenStream, Recorder
from tokenwatcher.settings import Settings
from tokenwatcher.usage import Held, held_of, shape_of
from tokenwatcher.usage.peek import opened, text
from tokenwatcher.usage.reading import Failure, Reading

_BEDROCK = {"bedrock", "aws", "aws_bedrock", "aws-bedrock", "amazon_bedrock", "amazon-bedrock"}


class Recording:
    """Where calls are recorded: the settings, the recorder and the tags of a client.

    `provider` is who answers, where the app says it; it goes before what a client's address tells.
    """

    __slots__ = ("base_tags", "provider", "recorder", "settings")

    def __init__(
        self, settings: Settings, recorder: Recorder, base_tags: Tags, provider: str | None = None
    ) -> None:
        self.settings = settings
        self.recorder = recorder
        self.base_tags = base_tags
        self.provider = provider

    def begin(self, facts: Facts) -> Call:
        """Begin a call now."""
        return Call(self, self._kept(facts) if facts.tags or facts.metadata else facts)

    def swallow(self, error: BaseException) -> None:
        """Count and log an error of our own."""
        self.recorder.tally.internal(error)

    def _kept(self, facts: Facts) -> Facts:
        """The same, with mappings that the app can't change any more; none for what is no mapping."""
        try:
            return facts._replace(
                tags=dict(facts.tags or {}) or None, metadata=dict(facts.metadata or {}) or None
            )
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            self.swallow(error)
            return facts._replace(tags=None, metadata=None)


class Pace(NamedTuple):
    """How an answer came that came in pieces."""

    first_token_ms: int | None


class Call:
    """A call that has begun. Its methods make events, and never raise."""

    __slots__ = (
        "_around",
        "_began_ns",
        "_recording",
        "_said",
        "at_ns",
        "held",
        "latency_ms",
        "pace",
    )

    def __init__(self, recording: Recording, facts: Facts) -> None:
        self._recording = recording
        self._said = facts
        self.held: Held | None = None
        """What the answer says, which is left to the sender to read."""
        self.latency_ms: int | None = None
        self.pace: Pace | None = None
        """Of an answer that came in pieces."""
        self._around = None if AROUND.get() is None else around()
        self.at_ns: int = time_ns()
        self._began_ns = perf_counter_ns()

    @property
    def facts(self) -> Facts:
        """What the app says of the call, and what held around it when it began."""
        return within(self._said, self._around)

    def elapsed_ms(self) -> int:
        return (perf_counter_ns() - self._began_ns + 500_000) // 1_000_000

    def answered(
        self, answer: Any, *, fetched: bool = False, error: BaseException | None = None
    ) -> None:
        """Record a whole answer; one that is only fetched took a time that is not told.

        `error` is what the app got in the answer's place: it is paid for all the same.
        """
        latency_ms = None if fetched else self.elapsed_ms()
        try:
            held = held_of(answer) if error is None else None
            if held is not None:
                call = self if self.held is None else copy(self)
                call.held, call.latency_ms = held, latency_ms
                self._recording.recorder.record(call)
                return
            answer = opened(answer)
            shape = shape_of(answer)
            provider = self.facts.provider or (shape.provider if shape else "unknown")
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
            self._recording.recorder.tally.internal(error)

    def streamed(self, held: Held, first_token_ms: int | None) -> None:
        """Record a stream that has come to its end and said all that it had to say."""
        self.held, self.latency_ms, self.pace = held, self.elapsed_ms(), Pace(first_token_ms)
        self._recording.recorder.record(self)

    def said(self, reading: Reading, error: BaseException | None = None) -> None:
        """Record what the app says of its call, and the exception that ended it, if one did."""
        try:
            if error is not None:
                reading = reading._replace(failure=describe(error))
            self.record(reading, self.facts.provider or "unknown", self.elapsed_ms())
        except Exception as internal:  # noqa: BLE001  # nothing of ours may reach the app
            self._recording.recorder.tally.internal(internal)

    def failed(self, error: BaseException) -> None:
        """Record an exception in place of an answer."""
        try:
            self.failed_with(describe(error), self.facts.provider or "unknown")
        except Exception as internal:  # noqa: BLE001  # nothing of ours may reach the app
            self._recording.recorder.tally.internal(internal)

    def failed_with(self, failure: Failure, provider: str) -> None:
        if not self._recording.settings.track_errors:
            return
        facts = self.facts
        self._recording.recorder.record(
            Event(
                id=self._recording.recorder.ids.new(),
                at_ns=self.at_ns,
                facts=facts,
                provider=provider,
                model=facts.model or "unknown",
                event_type="error",
                requested_service_tier=facts.service_tier,
                latency_ms=self.elapsed_ms(),
                request_id=failure.request_id,
                failure=failure,
                tags=_merged(self._recording.base_tags, facts.tags),
                metadata=_with_failure(facts.metadata, failure),
                project_slug=self._recording.settings.project_slug,
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
        charged = model or _charged_model(reading, self.facts, provider)
        event = self._event(reading, provider, latency_ms, charged)
        if streaming:
            event = event._replace(streaming=True, time_to_first_token_ms=time_to_first_token_ms)
        self._recording.recorder.record(event)
        for other in reading.also:
            self.record(other, provider, latency_ms, streaming=streaming, model=other.model)

    def read(self) -> Iterator[Event]:
        """Make the event (or events) of an answer that was kept to be read later."""
        if self.held is None:
            return
        shape, values = self.held
        facts, latency_ms = self.facts, self.latency_ms
        provider = facts.provider or shape.provider
        try:
            reading = shape.read(dict(zip(shape.fields, values, strict=True)), provider)
        except Exception as error:  # noqa: BLE001  # the call is recorded all the same
            self.swallow(error)
            reading = Reading()
        event = self._event(reading, provider, latency_ms, _charged_model(reading, facts, provider))
        if self.pace is not None:
            event = event._replace(streaming=True, time_to_first_token_ms=self.pace.first_token_ms)
        yield event
        for other in reading.also:
            event = self._event(other, provider, latency_ms, other.model or "unknown")
            yield event if self.pace is None else event._replace(streaming=True)

    def _event(self, reading: Reading, provider: str, latency_ms: int | None, model: str) -> Event:
        """Make an event of a reading; perhaps later, so its id is of when the call ended."""
        facts, tier = self.facts, reading.service_tier
        return Event(
            id=self._recording.recorder.ids.new(self.at_ns + (latency_ms or 0) * 1_000_000),
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
            failure=reading.failure if self._recording.settings.track_errors else None,
            tags=_merged(self._recording.base_tags, facts.tags),
            metadata=_merged(facts.metadata, reading.notes),
            project_slug=self._recording.settings.project_slug,
        )

    def opened(self, stream: OpenStream) -> None:
        """Know of a stream, so that it is recorded at the latest when the process ends."""
        self._recording.recorder.opened(stream)

    def closed(self, stream: OpenStream) -> None:
        self._recording.recorder.open_streams.discard(stream)

    @property
    def process(self) -> object:
        """Something that is another in a forked process."""
        return self._recording.recorder.ids

    def swallow(self, error: BaseException) -> None:
        """Note an error of our own."""
        self._recording.recorder.tally.internal(error)


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
