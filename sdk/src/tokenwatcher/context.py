"""What the app says once for all calls made within a block: tags, and who asks.

It is kept in a context variable, so it follows asyncio tasks by itself, and threads that are
started with `propagate`. A call takes up what holds where it begins, so a stream that is read
after the block still has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar, copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from tokenwatcher.event import Facts


P = ParamSpec("P")
T = TypeVar("T")

IDENTITIES = (
    "user_id", "end_user_id", "session_id", "request_id", "trace_id", "span_id", "parent_span_id",
)  # fmt: skip
"""Names that have a field of their own in an event; every other name is a tag."""


class Around(NamedTuple):
    """What holds within the blocks that are open."""

    tags: Mapping[str, Any]
    """Their values, or functions that give them."""
    identities: Mapping[str, str]
    asks: bool = False
    """A tag is a function, to be asked when a call begins."""
    block: object = None
    """The innermost block."""
    outer: Around | None = None
    """What holds around that block."""


_NOTHING = Around({}, {})
AROUND: ContextVar[Around | None] = ContextVar("tokenwatcher_around", default=None)
"""What holds here; asked for once with each call."""


class tags:  # noqa: N801  # it is used as `with tw.tags(...)`
    """Say something of every call that begins within the block, or within the function.

    `user_id`, `end_user_id`, `session_id`, `request_id`, `trace_id`, `span_id` and
    `parent_span_id` say who asks, every other name is a tag. Blocks nest, the inner one holds,
    and what is given to a call itself holds above all. None takes a name back. A tag may be a
    function: it is asked when a call begins. A block may be used again, also by several tasks or
    threads at once.
    """

    def __init__(self, **named: Any) -> None:
        self._tags = {name: value for name, value in named.items() if name not in IDENTITIES}
        self._identities = {name: value for name, value in named.items() if name in IDENTITIES}

    def say(self, named: Mapping[str, Any], identities: Mapping[str, Any]) -> None:
        """Say it apart: a tag may have any name. What is None is not said."""
        self._tags = {name: value for name, value in named.items() if value is not None}
        self._identities = {name: who for name, who in identities.items() if who is not None}

    def __enter__(self) -> None:
        outer = AROUND.get()
        before = outer or _NOTHING
        inner = _named(before.tags, self._tags)
        identities = _named(before.identities, self._identities)
        asks = any(map(callable, inner.values()))
        AROUND.set(Around(inner, identities, asks, self, outer))

    def __exit__(self, *_: object) -> None:
        here = AROUND.get()
        # a generator that is closed by another task ends in a context that never saw the block
        if here is not None and here.block is self:
            AROUND.set(here.outer)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Decorate a function, a coroutine function, or a generator of either kind."""
        from tokenwatcher.tagged import tagged

        return tagged(self, function)


def propagate(function: Callable[P, T]) -> Callable[P, T]:
    """Give a function that takes along what holds here: `executor.submit(propagate(work), 1)`."""
    context = copy_context()

    @wraps(function)
    def run(*args: P.args, **named: P.kwargs) -> T:
        return context.copy().run(function, *args, **named)

    return run


def around() -> Around | None:
    """What holds here, functions asked; it stays as it is. Never raises."""
    found = AROUND.get()
    return found._replace(tags=_asked(found.tags)) if found and found.asks else found


def within(facts: Facts, around: Around | None) -> Facts:
    """Complete what a call says of itself by what held where it began."""
    if around is None:
        return facts
    missing: dict[str, Any] = {
        name: value for name, value in around.identities.items() if getattr(facts, name) is None
    }
    return facts._replace(tags={**around.tags, **(facts.tags or {})}, **missing)


def _asked(named: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in named.items():
        if callable(value):
            with suppress(Exception):  # a tag that can't be told is no reason to fail
                value = value()
        if value is not None and not callable(value):
            found[name] = value
    return found


def _named(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**outer, **inner}.items() if value is not None}
