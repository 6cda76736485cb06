"""A whole process, instrumented: what is imported and what will be, once and undone."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tokenwatcher import TokenWatcher
from tokenwatcher.testing import CapturedUsage

ANSWER = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Fine."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
}
ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def instrumented(captured: CapturedUsage) -> Iterator[CapturedUsage]:
    captured.client.instrument()
    yield captured
    captured.client.uninstrument()


@pytest.fixture
def client(provider: Any) -> Iterator[openai.OpenAI]:
    provider.says(ANSWER)
    with openai.OpenAI(api_key="k", base_url=provider.url) as made_before:
        yield made_before


def test_client_made_before_is_recorded(client: openai.OpenAI, instrumented: CapturedUsage) -> None:
    client.chat.completions.create(**ASKED)
    client.with_options(timeout=3).chat.completions.create(**ASKED)
    assert len(instrumented.events) == 2


def test_instrumenting_twice_counts_once(
    client: openai.OpenAI, instrumented: CapturedUsage
) -> None:
    instrumented.client.instrument()
    client.chat.completions.create(**ASKED)
    assert instrumented.event["inputTokens"] == 5


@pytest.mark.parametrize("wrapped_first", [True, False])
def test_client_that_is_also_wrapped_counts_once(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage, wrapped_first: bool
) -> None:
    if wrapped_first:
        captured.client.wrap(client, provider="mine")
    captured.client.instrument()
    try:
        if not wrapped_first:
            captured.client.wrap(client, provider="mine")
        client.chat.completions.create(**ASKED)
        client.chat.completions.with_raw_response.create(**ASKED)
        provider.replies.clear()
        provider.streams([{**ANSWER, "object": "chat.completion.chunk", "choices": []}])
        list(client.chat.completions.create(**ASKED, stream=True))
    finally:
        captured.client.uninstrument()
    assert [event["provider"] for event in captured.events] == ["mine"] * 3


def test_undoing_leaves_the_libraries_as_they_were(
    client: openai.OpenAI, captured: CapturedUsage
) -> None:
    finders = list(sys.meta_path)
    owners = [
        getattr(library._base_client, kind)
        for library in (openai, anthropic)
        for kind in ("SyncAPIClient", "AsyncAPIClient")
    ]
    before = [vars(owner)["request"] for owner in owners]
    captured.client.instrument()
    assert all(vars(owner)["request"] is not one for owner, one in zip(owners, before, strict=True))
    captured.client.uninstrument()
    captured.client.uninstrument()
    assert [vars(owner)["request"] for owner in owners] == before
    assert sys.meta_path == finders
    client.chat.completions.create(**ASKED)
    assert captured.events == []


def test_another_who_patched_after_us_is_left_in_place(
    client: openai.OpenAI, captured: CapturedUsage, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner: Any = openai._base_client.SyncAPIClient
    original = vars(owner)["request"]
    captured.client.instrument()
    ours = vars(owner)["request"]
    seen = []

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(args)
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(owner, "request", theirs)
    captured.client.uninstrument()
    client.chat.completions.create(**ASKED)
    assert len(seen) == 1
    assert captured.events == []
    monkeypatch.undo()
    owner.request = original


def test_library_imported_later_is_recorded(provider: Any, server: Any) -> None:
    provider.says(ANSWER)
    code = f"""
        import sys, tokenwatcher
        tw = tokenwatcher.TokenWatcher(api_key="k", endpoint={server.url!r})
        tw.instrument()
        assert "openai" not in sys.modules
        import openai
        client = openai.OpenAI(api_key="k", base_url={provider.url!r})
        client.chat.completions.create(model="gpt-4o", messages=[])
        loader = sys.modules["openai._base_client"].__spec__.loader
        assert type(loader).__name__ == "SourceFileLoader", loader
    """
    done = subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    [event] = server.events
    assert event["outputTokens"] == 6


def test_error_of_ours_is_swallowed_and_the_call_goes_on(
    client: openai.OpenAI, captured: CapturedUsage, internal_errors: list[Any]
) -> None:
    captured.client.wrap(client)
    client._base_url = "no address at all"  # type: ignore[assignment]  # what we read is broken
    with pytest.raises(AttributeError):
        client.chat.completions.create(**ASKED)
    assert captured.client.stats().internal_errors == 1
    internal_errors.clear()


def test_disabled_watcher_leaves_everything_alone(client: openai.OpenAI) -> None:
    watcher = TokenWatcher(disabled=True)
    before = dict(vars(client))
    finders = list(sys.meta_path)
    assert watcher.wrap(client) is client
    watcher.instrument()
    assert vars(client) == before
    assert sys.meta_path == finders
