"""PostgreSQL's way of saying what engines say differently."""

from collections.abc import Mapping

from tokenwatcher_server.stores.sql import Bindings, Dialect


def placeholder(place: int, value: object) -> str:
    """A value of a stated type: PostgreSQL guesses text wherever it can't see another."""
    kind = "bigint" if isinstance(value, int) else 'text collate "C"'
    return f"${place}::{kind}"


def bindings() -> Bindings:
    return Bindings(placeholder)


def postgres_dialect(tag_slots: Mapping[str, int] | None = None) -> Dialect:
    """`tag_slots` are those of the tag keys where a question goes to the sums of their values."""

    def tag(key: str, bindings: Bindings) -> str:
        if tag_slots is not None:
            return f"tag_{tag_slots[key]}"
        return f'(tags ->> {bindings.bind(key)}) collate "C"'

    instant = "(timestamp 'epoch' + ({local}) * interval '1 microsecond')"
    return Dialect(
        tag=tag,
        event_id="id",
        quantile=(
            "round((percentile_cont({fraction}) within group (order by {column}))::numeric, 6)"
            "::float8"
        ),
        month=f"(extract(year from {instant}) * 12 + extract(month from {instant}) - 1)::bigint",
        whole="({value}) / {by}",
        placeholder=placeholder,
    )
