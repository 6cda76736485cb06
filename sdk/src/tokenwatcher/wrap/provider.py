"""What the file of a provider declares: how its clients are known, and where its calls are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tokenwatcher.call import Call
from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.stream import watched


class Recording(NamedTuple):
    """Where intercepted calls are recorded."""

    settings: Settings
    begin: Callable[[Facts], Call]
    """Begin a call now; the tags that hold for it are taken here."""
    swallow: Callable[[BaseException], None]
    """Count and log an error of our own."""
    provider: str | None = None
    """Who answers, where the app says it; then no client's address is asked."""


class Asked(NamedTuple):
    """What the arguments of a call tell before it is made."""

    provider: str
    model: str | None = None
    service_tier: str | None = None
    streaming: bool = False
    hides_usage: bool = False
    """The last piece of the stream comes because we asked for it, and is not for the app."""


def take_answer(call: Call, answer: Any, asked: Asked) -> Any:  # noqa: ARG001  # what `answered` is given
    """Record an answer, or see to it that it is recorded when it has come whole."""
    return watched(call, answer)


class Method(NamedTuple):
    """A function of a provider's library that makes calls."""

    owner: str
    """The module and class where it is defined: `openai._base_client:SyncAPIClient`."""
    name: str
    asked: Callable[[Any, tuple[Any, ...], dict[str, Any], Settings], Asked | None]
    """Read the object it is called on and its arguments; None for what is not to be recorded."""
    path: str = ""
    """The attributes that lead from a client to the object it is called on: `aio.models`."""
    answered: Callable[[Call, Any, Asked], Any] = take_answer
    """Take the answer and give what the app is to get."""

    @property
    def module(self) -> str:
        return self.owner.partition(":")[0]

    @property
    def class_name(self) -> str:
        return self.owner.partition(":")[2]


class Provider(NamedTuple):
    """A provider's library."""

    package: str
    """The top-level package: `openai`."""
    clients: frozenset[str]
    """The names of the classes of its clients."""
    methods: tuple[Method, ...]
    copies: tuple[str, ...] = ()
    """Methods of a client that give another client."""


def given(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str) -> Any:
    """Give an argument that may have been given by its place or by its name, else None."""
    return args[place] if len(args) > place else kwargs.get(name)
