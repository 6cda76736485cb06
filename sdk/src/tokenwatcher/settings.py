"""Settings: an argument, else a `TOKENWATCHER_*` variable, else a default."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypedDict, get_args
from urllib.parse import urlsplit

from tokenwatcher.event import Tags
from tokenwatcher.masking import shown_key

DEFAULT_ENDPOINT = "http://127.0.0.1:3000"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


IncludeUsage = Literal["known", "always", "never"]
"""Where wrapped clients ask for the usage of a stream that would not tell it: of hosts known to
take that, of every host, or nowhere."""


class Options(TypedDict, total=False):
    """The arguments of a client beside its key and its endpoint. Times are in seconds."""

    project_slug: str | None
    environment: str | None
    """Becomes a tag."""
    default_tags: Tags | None
    batch: bool | None
    """False sends each event by itself."""
    flush_interval: float | None
    max_batch_size: int | None
    max_queue_size: int | None
    timeout: float | None
    max_retries: int | None
    track_errors: bool | None
    include_usage: IncludeUsage | None
    hash_user_ids: bool | None
    """User ids leave as keyed hashes."""
    user_id_key: str | None
    """The key of those hashes; the API key by default, so they change with it."""
    spool_dir: str | os.PathLike[str] | None
    """Where what can't be sent is kept."""
    spool_max_bytes: int | None
    debug: bool | None
    disabled: bool | None


class Settings(NamedTuple):
    """How a `TokenWatcher` behaves. Times are in seconds."""

    api_key: str | None = None
    endpoint: str = DEFAULT_ENDPOINT
    project_slug: str | None = None
    environment: str | None = None
    default_tags: Tags = MappingProxyType({})
    batch: bool = True
    flush_interval: float = 1.0
    max_batch_size: int = 100
    max_queue_size: int = 10_000
    timeout: float = 10.0
    max_retries: int = 10
    track_errors: bool = True
    include_usage: IncludeUsage = "known"
    hash_user_ids: bool = False
    user_id_key: str | None = None
    spool_dir: str | None = None
    spool_max_bytes: int = 100_000_000
    debug: bool = False
    disabled: bool = False
    problems: tuple[str, ...] = ()
    """What is wrong with the settings: one sentence each."""

    def __repr__(self) -> str:
        return f"Settings({self.endpoint!r}, key {self.shown_key})"

    @property
    def tags(self) -> dict[str, Any]:
        """The tags that every event carries; the environment is one of them."""
        own = {"environment": self.environment} if self.environment else {}
        return {**own, **self.default_tags}

    @property
    def shown_key(self) -> str:
        return shown_key(self.api_key)


def load(given: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Settle every setting. A bad one is a problem in words and its default, never an exception.

    Without a key, or with an endpoint that is no http address, the client is disabled. Raises
    TypeError for a setting that there is not.
    """
    for name in given.keys() - _VARIABLES.keys() - {"default_tags"}:
        raise TypeError(f"TokenWatcher() got an unexpected keyword argument {name!r}")
    problems: list[str] = []
    values: dict[str, Any] = {
        name: value.strip() if isinstance(value, str) else value  # a key out of a file ends a line
        for name, value in given.items()
        if value is not None
    }
    for name, parse in _VARIABLES.items():
        variable = f"TOKENWATCHER_{name.upper()}"
        written = environ.get(variable)
        if name in values or not written:
            continue
        try:
            values[name] = parse(written)
        except ValueError:
            problems.append(f"{variable} has a value that can't be used; the default holds.")
    _check(values, problems)
    return Settings(**values, problems=tuple(problems))


def _check(values: dict[str, Any], problems: list[str]) -> None:
    for name, (least, most) in _LIMITS.items():
        value = values.get(name)
        if value is not None and not (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and least <= value <= most
        ):
            problems.append(f"{name} must be from {least} to {most}; the default holds.")
            del values[name]
    if values.get("include_usage", "known") not in get_args(IncludeUsage):
        problems.append("include_usage must be known, always or never; the default holds.")
        del values["include_usage"]
    try:
        values["default_tags"] = dict(values.get("default_tags", {}))
    except (TypeError, ValueError):
        problems.append("default_tags must be a mapping; there are none.")
        del values["default_tags"]
    if "spool_dir" in values:
        values["spool_dir"] = os.fspath(values["spool_dir"])
    values["endpoint"] = str(values.get("endpoint") or DEFAULT_ENDPOINT).rstrip("/")
    if values.get("disabled"):
        return
    if not _is_http_address(values["endpoint"]):
        problems.append("The endpoint is not an http:// or https:// address; nothing is recorded.")
        values["disabled"] = True
    problem = _problem_of_key(values.get("api_key"))
    if problem is not None:
        problems.append(f"{problem}; nothing is recorded.")
        values["disabled"] = True


def _problem_of_key(api_key: object) -> str | None:
    """Tell why a key can't be sent; not what it is."""
    if not api_key:
        return "There is no API key (api_key= or TOKENWATCHER_API_KEY)"
    if not isinstance(api_key, str):
        return "The API key is no text"
    if not (api_key.isascii() and api_key.isprintable()):
        return "The API key has characters that can't be sent"
    return None


def _is_http_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        host.encode("idna")  # as it will be when its address is looked up
        return parts.scheme in {"http", "https"} and bool(host) and parts.port != 0
    except ValueError:
        return False


def _boolean(written: str) -> bool:
    lowered = written.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(written)


def _include_usage(written: str) -> str:
    lowered = written.strip().lower()
    if lowered not in get_args(IncludeUsage):
        raise ValueError(written)
    return lowered


_VARIABLES: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {
        "api_key": str.strip,
        "endpoint": str.strip,
        "project_slug": str.strip,
        "environment": str.strip,
        "batch": _boolean,
        "flush_interval": float,
        "max_batch_size": int,
        "max_queue_size": int,
        "timeout": float,
        "max_retries": int,
        "track_errors": _boolean,
        "include_usage": _include_usage,
        "hash_user_ids": _boolean,
        "user_id_key": str.strip,
        "spool_dir": str.strip,
        "spool_max_bytes": int,
        "debug": _boolean,
        "disabled": _boolean,
    }
)
_LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "flush_interval": (0.0, 3600.0),
        "max_batch_size": (1, 1000),
        "max_queue_size": (1, 1_000_000),
        "timeout": (0.1, 300.0),
        "max_retries": (0, 100),
        "spool_max_bytes": (10_000, 100_000_000_000),
    }
)
