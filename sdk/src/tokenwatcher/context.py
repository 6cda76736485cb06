"""What the app says once for all calls made within a block: tags, and who asks.

It is kept in a context variable, so it follows asyncio tasks by itself, and threads that are
started with `propagate`. A call takes up what holds where it begins, so a stream that is read
after the block still has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from tokenwatcher.event import Facts, TagValue


P = ParamSpec("P")
T = TypeVar("T")

IDENTITIES = (
    "user_id", "end_user_id", "session_id", "request_id", "trace_id", "span_id", "parent_span_id",
)  # fmt: skip
"""Names that have a field of their own in an event; every other name is a tag."""


class Around(NamedTuple):
    """What holds within the blocks that are open."""

    tags: Mapping[str, TagValue | Callable[[], TagValue]]
    identities: Mapping[str, str]


_AROUND: ContextVar[Around | None] = ContextVar("tokenwatcher_around", default=None)


@contextmanager
def tags(**named: Any) -> Iterator[None]:
    """Say something of every call that begins within the block, or within the function.

    `user_id`, `end_user_id`, `session_id`, `request_id`, `trace_id`, `span_id` and
    `parent_span_id` say who asks, every other name is a tag. Blocks nest, the inner one holds,
    and what is given to a call itself holds above all. None takes a name back. A tag may be a
    function: it is asked when a call begins.
    """
    outer = _AROUND.get() or Around({}, {})
    token = _AROUND.set(
        Around(
            _named(outer.tags, {k: v for k, v in named.items() if k not in IDENTITIES}),
            _named(outer.identities, {k: v for k, v in named.items() if k in IDENTITIES}),
        )
    )
    try:
        yield
    finally:
        # a generator that is closed by another task ends in a context that never saw the block
        with suppress(ValueError):
            _AROUND.reset(token)


def propagate(function: Callable[P, T]) -> Callable[P, T]:
    """Give a function that takes along what holds here: `executor.submit(propagate(work), 1)`."""
    context = copy_context()

    @wraps(function)
    def run(*args: P.args, **named: P.kwargs) -> T:
        return context.copy().run(function, *args, **named)

    return run


def within(facts: Facts) -> Facts:
    """Complete what a call says of itself by what holds around it. Never raises."""
    around = _AROUND.get()
    if around is None:
        return facts
    missing: dict[str, Any] = {
        name: value for name, value in around.identities.items() if getattr(facts, name) is None
    }
    return facts._replace(tags={**tags_around(), **(facts.tags or {})}, **missing)


def tags_around() -> dict[str, TagValue]:
    """The tags that hold here, functions asked."""
    around = _AROUND.get()
    found: dict[str, TagValue] = {}
    for name, value in around.tags.items() if around else ():
        if callable(value):
            with suppress(Exception):  # a tag that can't be told is no reason to fail
                value = value()
        if value is not None and not callable(value):
            found[name] = value
    return found


def _named(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**outer, **inner}.items() if value is not None}
