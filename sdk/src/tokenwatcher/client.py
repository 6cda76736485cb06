"""`TokenWatcher`: what an app imports. Nothing here raises into the app or keeps it waiting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from tokenwatcher.begun import Recording
from tokenwatcher.context import around, within
from tokenwatcher.decorators import flushed, observed
from tokenwatcher.event import BlockFacts, CallFacts, Event, Facts, Tags, instant_ns, whole
from tokenwatcher.failure import failure_of
from tokenwatcher.masking import mask
from tokenwatcher.open_call import OpenCall
from tokenwatcher.recorder import Recorder
from tokenwatcher.settings import Options, load
from tokenwatcher.stream import watched
from tokenwatcher.tally import Stats, log
from tokenwatcher.tracking import Tracking
from tokenwatcher.transport import Transport, http_transport
from tokenwatcher.usage.reading import Quality, Tokens

if TYPE_CHECKING:
    from typing_extensions import Unpack


P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")


class TokenWatcher:
    """Records what LLM calls use and sends it to a TokenWatcher server in the background.

    An argument that is not given comes from `TOKENWATCHER_API_KEY`, `TOKENWATCHER_ENDPOINT`,
    `TOKENWATCHER_PROJECT_SLUG` and so on, else from its default. Times are in seconds. Without
    an API key it records nothing and says so once in the log. Make one for the whole process:
    it may be used from any thread, and works in processes forked from it.
    """

    def __init__(
        self,
        api_key: str | None = None,
        endpoint: str | None = None,
        *,
        transport: Transport | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Set up; nothing is connected to yet. `transport` takes the place of HTTP in tests.

        A bad value is told in the log and its default holds; only a name that there is not
        raises (TypeError).
        """
        given = {"api_key": api_key, "endpoint": endpoint, **options}
        self._settings = load(given, os.environ)
        for problem in self._settings.problems:
            log.warning("%s", problem)
        if self._settings.debug:
            log.setLevel("DEBUG")
        self._base_tags = self._settings.tags
        self._recorder = Recorder(self._settings, transport or http_transport(self._settings))

    def __repr__(self) -> str:
        settings = self._settings
        state = ", disabled" if settings.disabled else ""
        return f"TokenWatcher({mask(settings.endpoint)!r}, key {settings.shown_key}{state})"

    def track(self, call: Callable[[], T], **facts: Unpack[CallFacts]) -> T:
        """Make a call to a provider and record what it used.

        Returns what the call returned: an answer as it is, an awaitable to be awaited, or a
        stream that behaves as the original and is recorded when it ends, is closed or is left.
        An exception is recorded and goes on unchanged. `model` and `service_tier` are what is
        asked for; the answer's own are used where it names them. `store_prompt` is the prompt,
        which leaves the process only where it is given here, and is kept only where the server's
        operator allows it. What a wrapped client records meanwhile has the same tags, and stands
        for the call.
        """
        said = Facts(**facts)
        if self._settings.disabled:
            return call()
        begun = self._recording().begin(said)
        tracking = Tracking(said)
        try:
            with tracking:
                answer = call()
        except BaseException as error:
            if not tracking.recorded:
                begun.failed(error)
            raise
        return cast(T, watched(begun, answer, recorded=tracking.recorded))

    def track_stream(self, call: Callable[[], T], **facts: Unpack[CallFacts]) -> T:
        """Like `track`, for a call whose answer comes in pieces: recorded when it has ended."""
        return self.track(call, **facts)

    def observe(self, **facts: Unpack[CallFacts]) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """A decorator for functions that return a provider's answer: `track` around each call.

        Coroutine functions stay such; generators, synchronous or not, are streams.
        """
        return lambda function: observed(self.track, function, dict(facts))

    def call(self, provider: str, model: str, **facts: Unpack[BlockFacts]) -> OpenCall:
        """A call that the app makes in its own way, within a `with` or `async with` block.

        In the block, say what it used by `usage(...)`, or give the provider's `answer(...)`.
        `facts` are those of `track`.
        """
        said = Facts(provider, model, **facts)
        return OpenCall(None if self._settings.disabled else self._recording(), said)

    def track_manual(
        self,
        provider: str,
        model: str,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        *,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        cache_write_5m_tokens: int | None = None,
        cache_write_1h_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        tool_prompt_tokens: int | None = None,
        audio_input_tokens: int | None = None,
        audio_output_tokens: int | None = None,
        image_input_tokens: int | None = None,
        usage_quality: Quality | None = None,
        latency_ms: float | None = None,
        time_to_first_token_ms: float | None = None,
        streaming: bool | None = None,
        tags: Tags | None = None,
        metadata: Tags | None = None,
        user_id: str | None = None,
        end_user_id: str | None = None,
        session_id: str | None = None,
        request_id: str | None = None,
        response_id: str | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        requested_model: str | None = None,
        service_tier: str | None = None,
        requested_service_tier: str | None = None,
        server_tool_calls: dict[str, int] | None = None,
        reported_cost_usd: str | None = None,
        total_cost_usd: float | None = None,
        timestamp: datetime | float | None = None,
        event_id: str | None = None,
        project_slug: str | None = None,
        prompt: str | None = None,
        completion: str | None = None,
    ) -> str | None:
        """Record a call whose numbers you have; gives the event's id, or None if it is lost.

        `input_tokens` and `output_tokens` are wholes, the other counts are parts within them;
        None means not known, which is not zero. `timestamp` (aware, or seconds since 1970) is
        when the call happened, now by default. An `event_id` sent twice counts once. `prompt`
        and `completion` leave the process only where they are given here, and a server keeps
        them only where its operator allows it.
        """
        if self._settings.disabled:
            return None
        try:
            facts = Facts(
                None, None, None, tags, None, None, user_id, end_user_id, session_id, request_id,
                trace_id, span_id, parent_span_id,
            )  # fmt: skip
            here = around()
            if here is not None:
                facts = within(facts, here)
            tokens = Tokens(
                input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                cache_write_5m_tokens, cache_write_1h_tokens, reasoning_tokens,
                tool_prompt_tokens, audio_input_tokens, audio_output_tokens, image_input_tokens,
            )  # fmt: skip
            # by position, which takes a third of the time
            event = Event(
                event_id or self._recorder.ids.new(),
                time.time_ns() if timestamp is None else instant_ns(timestamp), facts,
                provider, model, tokens, usage_quality, "usage", requested_model, service_tier,
                requested_service_tier, server_tool_calls, reported_cost_usd, total_cost_usd,
                None if latency_ms is None else round(latency_ms),
                None if time_to_first_token_ms is None else round(time_to_first_token_ms),
                streaming, None, response_id,
                None, self._with_base(facts.tags), dict(metadata) if metadata else None,
                project_slug or self._settings.project_slug, prompt, completion,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            self._recorder.tally.internal(error)
            return None
        return event.id if self._recorder.record(event) else None

    def track_error(
        self,
        provider: str,
        model: str,
        error: BaseException | str,
        *,
        error_type: str | None = None,
        latency_ms: float | None = None,
        tags: Tags | None = None,
        metadata: Tags | None = None,
        user_id: str | None = None,
        end_user_id: str | None = None,
        session_id: str | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        timestamp: datetime | float | None = None,
        event_id: str | None = None,
        project_slug: str | None = None,
    ) -> str | None:
        """Record a call that failed; gives the event's id, or None if it is lost.

        `error` is the exception, or a message (then `error_type` should say of what kind).
        Credentials in the message are masked before it leaves.
        """
        if self._settings.disabled or not self._settings.track_errors:
            return None
        try:
            said = Facts(
                tags=tags, user_id=user_id, end_user_id=end_user_id, session_id=session_id,
                request_id=request_id, trace_id=trace_id,
            )  # fmt: skip
            facts = within(said, around())
            failure = failure_of(error)
            event = Event(
                id=event_id or self._recorder.ids.new(),
                at_ns=instant_ns(timestamp),
                facts=facts,
                provider=provider,
                model=model,
                event_type="error",
                latency_ms=whole(latency_ms),
                request_id=failure.request_id,
                failure=failure._replace(type=error_type or failure.type),
                tags=self._with_base(facts.tags),
                metadata=dict(metadata) if metadata else None,
                project_slug=project_slug or self._settings.project_slug,
            )  # fmt: skip
        except Exception as internal:  # noqa: BLE001  # nothing of ours may reach the app
            self._recorder.tally.internal(internal)
            return None
        return event.id if self._recorder.record(event) else None

    def wrap(self, client: C, *, provider: str | None = None) -> C:
        """Record every call made through a client of a supported library; gives it back.

        The client stays what it is, and its calls return what they did, streams included.
        `provider` says who answers where no address tells. Raises TypeError for other objects.
        """
        from tokenwatcher.wrapping import wrap_client

        return wrap_client(client, self._recording(provider))

    def instrument(self) -> None:
        """Record every call of the supported libraries in this process, without touching code.

        Later imports are included. Twice counts once, and so does a client that is wrapped too.
        """
        from tokenwatcher.wrapping import instrument

        instrument(self._recording())

    def uninstrument(self) -> None:
        """Undo `instrument`."""
        from tokenwatcher.wrapping import uninstrument

        uninstrument()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was recorded so far is sent or given up; False if time ran out."""
        return self._recorder.flush(timeout)

    def flush_after(self, function: Callable[P, T]) -> Callable[P, T]:
        """A decorator for functions after which the process may be frozen, as AWS Lambda does."""
        return flushed(self.flush, function)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Send what is queued and record nothing more; False if something was left unsent.

        Also done when the process ends, within two seconds.
        """
        return self._recorder.shutdown(timeout)

    def stats(self) -> Stats:
        """Tell what became of the events so far."""
        return self._recorder.stats()

    def _recording(self, provider: str | None = None) -> Recording:
        return Recording(self._settings, self._recorder, self._base_tags, provider)

    def _with_base(self, tags: Tags | None) -> Tags:
        return {**self._base_tags, **tags} if tags else self._base_tags
