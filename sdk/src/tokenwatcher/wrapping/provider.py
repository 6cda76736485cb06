"""What the file of a provider declares: how its clients are known, and where its calls are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tokenwatcher.begun import Call
from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.stream import watched


class Asked:
    """What the arguments of a call tell before it is made."""

    __slots__ = ("body", "counts", "each", "facts", "fetches", "hides_usage", "kind", "unread")

    def __init__(
        self,
        facts: Facts,
        *,
        hides_usage: bool = False,
        body: dict[str, Any] | None = None,
        counts: Callable[[Any], bool] | None = None,
        fetches: bool = False,
        each: Callable[[Any], Any] | None = None,
    ) -> None:
        self.facts = facts
        self.hides_usage = hides_usage
        """The last piece of the stream comes because we asked for it, and is not for the app."""
        self.body = body
        """What was asked for; where a stream says no counts, they are estimated from it."""
        self.counts = counts
        """Tells which answers are to be recorded; None for all."""
        self.fetches = fetches
        """What is answered was paid for before: how long this took is no latency of a model, and
        a failure is none of a model."""
        self.each = each
        """Where many answers come one by one: finds the answer in one of them, or None."""
        self.unread: list[Any] | None = None
        """Gets the answer that the library goes on to parse, which may fail: it is paid for then
        too."""
        self.kind: type | None = None
        """The class of the last answer that came whole and was recorded as it was."""


def take_answer(call: Call, answer: Any, asked: Asked) -> Any:
    """Record an answer, or see to it that it is recorded when it has come whole."""
    return watched(call, answer, asked.body)


def take_error(call: Call, error: BaseException, asked: Asked) -> None:
    """Record an exception that the app gets, and what was paid for before it was raised."""
    if asked.fetches:
        return
    if asked.unread:
        call.answered(asked.unread[0], error=error)
    else:
        call.failed(error)


def take_whole(call: Call, answer: Any, asked: Asked) -> None:
    """Record an answer that is here, if it is one of those that are to be."""
    if asked.each is not None:
        answer = asked.each(answer)
    if answer is not None and (asked.counts is None or asked.counts(answer)):
        call.answered(answer, fetched=asked.fetches)


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
    built: str = ""
    """Where the library makes the last part of `path` when it is first used: the attribute under
    which it then keeps it. Importing that part can take long, so it is left to the app."""

    @property
    def module(self) -> str:
        return self.owner.partition(":")[0]

    @property
    def class_name(self) -> str:
        return self.owner.partition(":")[2]


class Provider(NamedTuple):
    """A provider's library."""

    package: str
    """The package: `openai`, `google.genai`."""
    clients: frozenset[str]
    """The names of the classes of its clients."""
    methods: tuple[Method, ...]
    copies: tuple[str, ...] = ()
    """Methods of a client that give another client."""


def given(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str) -> Any:
    """Give an argument that may have been given by its place or by its name, else None."""
    return args[place] if len(args) > place else kwargs.get(name)
