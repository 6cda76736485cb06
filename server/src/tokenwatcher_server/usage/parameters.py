"""Takes parameters out of an address, and says everything that is wrong with them at once."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.kernel.period import UTC_ZONE

Parameters = Iterable[tuple[str, str]]

MAX_VALUES = 50
MAX_TEXT = 300


class Reader:
    """Takes parameters out of an address and collects everything that is wrong with them."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = tuple(parameters)
        self._issues: list[Issue] = []

    def wrong(self, path: str, message: str) -> None:
        self._issues.append(Issue(path, message))

    def finish(self) -> None:
        """Raise AppError where anything was wrong."""
        if self._issues:
            first = self._issues[0]
            raise invalid(f"{first.path} {first.message}.", *self._issues)

    def all(self, name: str, longest: int = MAX_TEXT) -> list[str]:
        """Every value of this name; too many, too long or with a NUL is wrong."""
        values = [value for known, value in self.parameters if known == name]
        if len(values) > MAX_VALUES:
            self.wrong(name, f"may be given at most {MAX_VALUES} times")
        elif any(len(value) > longest for value in values):
            self.wrong(name, f"may have at most {longest} characters")
        elif any("\0" in value for value in values):
            self.wrong(name, "may not hold a NUL character")
        else:
            return values
        return []

    def one(self, name: str, longest: int = MAX_TEXT) -> str | None:
        """The one value of this name; an empty one, as a form sends it, counts as not given."""
        values = [value for value in self.all(name, longest) if value]
        if len(set(values)) > 1:
            self.wrong(name, "may be given once")
        return values[0] if values else None

    def whole(self, name: str, least: int, most: int, default: int) -> int:
        text = self.one(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
            return int(text)
        self.wrong(name, f"must be a whole number from {least} to {most}")
        return default

    def zone(self, name: str) -> ZoneInfo:
        text = self.one(name, 100)
        if text is None or text == UTC_ZONE.key:
            return UTC_ZONE
        try:
            return ZoneInfo(text)
        except (ValueError, OSError):  # OSError: the name of a folder, or one no file can have
            pass
        except KeyError:
            pass
        self.wrong(name, "must be a time zone such as Europe/Berlin")
        return UTC_ZONE
