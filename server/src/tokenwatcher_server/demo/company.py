"""The made-up company: its projects, what they call models for, and what happened to it.

A `Stream` is one feature served by one model. Days are counted back from the end of the
history: age 0 is today. The story that the numbers tell:

- `chat` moved from claude-sonnet-4-5 to claude-sonnet-5 within a week, 38 to 32 days ago;
- the prompts of `summarise` are 38 % longer since 10 days ago;
- 23 days ago a build robot called `review` in a loop for five hours;
- since 30 days ago a few chats go to a model of the company's own, which has no price.
"""

from typing import Literal

import msgspec

COMPANY = "Quillmere"

Rhythm = Literal["office", "customers", "night", "flat"]


class DemoProject(msgspec.Struct, frozen=True):
    slug: str
    name: str


class Ramp(msgspec.Struct, frozen=True):
    """A change in volume, from `before` to `after` times, between two ages in days."""

    start_age: int
    end_age: int
    before: float
    after: float

    def at(self, age: float) -> float:
        if age >= self.start_age:
            return self.before
        if age <= self.end_age:
            return self.after
        done = (self.start_age - age) / (self.start_age - self.end_age)
        return self.before + (self.after - self.before) * done


class Growth(msgspec.Struct, frozen=True):
    """Prompts are `factor` times as long from `age` days ago on."""

    age: int
    factor: float


class Spike(msgspec.Struct, frozen=True):
    """One bad day: `factor` times the calls from `first_hour` up to `last_hour`, by one user."""

    age: int
    first_hour: int
    last_hour: int
    factor: float
    user: str


class Prompt(msgspec.Struct, frozen=True):
    """How long a call's prompt is, in tokens. `prefix` is the part that can be cached."""

    median: int
    prefix: int = 0
    hit: float = 0.0
    """The probability that the prefix is read from the cache."""
    writes: bool = False
    """Whether a miss writes the prefix to the cache, and is charged for it."""


class Answer(msgspec.Struct, frozen=True):
    """How long an answer is, in tokens, and how fast it comes."""

    median: int
    reasoning: float = 0.0
    """Reasoning tokens for each token of text."""
    first_token_ms: int = 400
    ms_per_token: float = 9.0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    project: str
    feature: str
    team: str
    route: str
    provider: str
    model: str
    requested_model: str | None = None
    calls: float
    """Its share of the company's calls, in no particular unit."""
    prompt: Prompt
    answer: Answer
    rhythm: Rhythm = "customers"
    streaming: bool = False
    sessions: bool = False
    service_tier: str | None = None
    users: int = 400
    error_rate: float = 0.005
    ramp: Ramp | None = None
    growth: Growth | None = None
    spike: Spike | None = None


PROJECTS = (
    DemoProject("support-assistant", "Support assistant"),
    DemoProject("search", "Search"),
    DemoProject("document-summaries", "Document summaries"),
    DemoProject("code-review", "Code review"),
    DemoProject("onboarding", "Onboarding"),
)

_CHAT_PROMPT = Prompt(median=2600, prefix=5400, hit=0.83, writes=True)
_CHAT_ANSWER = Answer(median=330, first_token_ms=620, ms_per_token=14.0)

STREAMS = (
    Stream(
        project="support-assistant", feature="chat", team="support", route="/assistant/reply",
        provider="anthropic", model="claude-sonnet-4-5-20250929",
        requested_model="claude-sonnet-4-5", calls=19.0,
        prompt=_CHAT_PROMPT, answer=_CHAT_ANSWER, streaming=True, sessions=True, users=1800,
        error_rate=0.008, ramp=Ramp(38, 32, 1.0, 0.0),
    ),
    Stream(
        project="support-assistant", feature="chat", team="support", route="/assistant/reply",
        provider="anthropic", model="claude-sonnet-5", calls=19.0,
        prompt=_CHAT_PROMPT, answer=_CHAT_ANSWER, streaming=True, sessions=True, users=1800,
        error_rate=0.006, ramp=Ramp(38, 32, 0.0, 1.0),
    ),
    Stream(
        project="support-assistant", feature="chat", team="support", route="/assistant/reply",
        provider="self-hosted", model="quillmere-support-7b", calls=0.5,
        prompt=Prompt(median=1700), answer=Answer(median=210, first_token_ms=150),
        streaming=True, sessions=True, users=90, ramp=Ramp(30, 29, 0.0, 1.0),
    ),
    Stream(
        project="support-assistant", feature="triage", team="support", route="/tickets/triage",
        provider="openai", model="gpt-4o-mini-2024-07-18", requested_model="gpt-4o-mini",
        calls=15.0, prompt=Prompt(median=1250), answer=Answer(median=26, first_token_ms=310),
        users=900,
    ),
    Stream(
        project="support-assistant", feature="handover", team="support", route="/tickets/handover",
        provider="anthropic", model="claude-haiku-4-5-20251001",
        requested_model="claude-haiku-4-5", calls=3.5,
        prompt=Prompt(median=4400), answer=Answer(median=260, ms_per_token=7.0),
        rhythm="office", users=60,
    ),
    Stream(
        project="search", feature="embed", team="search", route="/index/documents",
        provider="openai", model="text-embedding-3-small", calls=17.0,
        prompt=Prompt(median=820), answer=Answer(median=0, first_token_ms=90),
        rhythm="flat", users=5,
    ),
    Stream(
        project="search", feature="rerank", team="search", route="/search",
        provider="google", model="gemini-2.5-flash", calls=16.0,
        prompt=Prompt(median=3600, prefix=1100, hit=0.3),
        answer=Answer(median=95, first_token_ms=280, ms_per_token=4.0), users=2400,
    ),
    Stream(
        project="search", feature="answer", team="search", route="/search/answer",
        provider="openai", model="gpt-5-mini-2025-08-07", requested_model="gpt-5-mini",
        calls=8.0, prompt=Prompt(median=3100, prefix=1536, hit=0.55),
        answer=Answer(median=210, reasoning=0.8, first_token_ms=900), streaming=True, users=1500,
    ),
    Stream(
        project="document-summaries", feature="summarise", team="documents", route="/documents/summary",
        provider="openai", model="gpt-5-2025-08-07", requested_model="gpt-5", calls=8.0,
        prompt=Prompt(median=9800, prefix=1024, hit=0.5),
        answer=Answer(median=460, reasoning=0.7, first_token_ms=1500, ms_per_token=11.0),
        users=700, error_rate=0.007, growth=Growth(10, 1.38),
    ),
    Stream(
        project="document-summaries", feature="extract-fields", team="documents", route="/jobs/extract",
        provider="openai", model="gpt-5-mini-2025-08-07", requested_model="gpt-5-mini",
        calls=6.0, prompt=Prompt(median=5200, prefix=1280, hit=0.4),
        answer=Answer(median=320, reasoning=0.4), rhythm="night", service_tier="batch", users=4,
        error_rate=0.002,
    ),
    Stream(
        project="document-summaries", feature="translate", team="documents", route="/documents/translate",
        provider="mistral", model="mistral-small-latest", calls=2.5,
        prompt=Prompt(median=1500), answer=Answer(median=1400, ms_per_token=6.0),
        rhythm="office", users=220,
    ),
    Stream(
        project="code-review", feature="review", team="platform", route="/pull-requests/review",
        provider="anthropic", model="claude-opus-5", calls=1.1,
        prompt=Prompt(median=8200, prefix=6100, hit=0.72, writes=True),
        answer=Answer(median=680, first_token_ms=1400, ms_per_token=19.0),
        rhythm="office", users=45, error_rate=0.01,
        spike=Spike(age=23, first_hour=9, last_hour=14, factor=26.0, user="build-robot"),
    ),
    Stream(
        project="code-review", feature="commit-message", team="platform", route="/hooks/commit",
        provider="anthropic", model="claude-haiku-4-5-20251001",
        requested_model="claude-haiku-4-5", calls=3.5,
        prompt=Prompt(median=1900, prefix=2200, hit=0.6, writes=True),
        answer=Answer(median=70, ms_per_token=7.0), rhythm="office", users=45,
    ),
    Stream(
        project="onboarding", feature="welcome-mail", team="growth", route="/onboarding/mail",
        provider="openai", model="gpt-4o-mini-2024-07-18", requested_model="gpt-4o-mini",
        calls=3.4, prompt=Prompt(median=580), answer=Answer(median=330), users=1200,
        ramp=Ramp(60, 20, 0.6, 1.4),
    ),
)  # fmt: skip
"""Every stream of calls. Models and providers are real; the company and its users are not."""
