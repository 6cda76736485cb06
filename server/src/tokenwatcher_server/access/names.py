"""Names that people give to things: safe to store, to show and to write in a log."""

import unicodedata

from tokenwatcher_server.kernel.errors import Issue, invalid

LONGEST = 100
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of surrogate pairs, and the separators of lines."""


def checked_name(name: str, path: str = "name", *, longest: int = LONGEST) -> str:
    """The name without the spaces around it.

    Raises AppError where nothing is left, it is too long, or it holds control characters.
    """
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= longest:
        message = f"must have 1 to {longest} characters"
    elif any(unicodedata.category(character) in _REFUSED for character in trimmed):
        message = "can't have control characters or line breaks"
    else:
        return trimmed
    raise invalid(f"The {path} {message}.", Issue(path, message))
