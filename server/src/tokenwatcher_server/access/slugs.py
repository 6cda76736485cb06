"""Slugs: short names for addresses and commands, unique where they live."""

import re
import unicodedata
from collections.abc import Container

LONGEST = 90


def slug_of(name: str, taken: Container[str], *, otherwise: str) -> str:
    """Lower-case ASCII words joined by hyphens; `-2`, `-3` and so on where it is taken.

    `otherwise` stands for a name without any Latin letter or digit.
    """
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", latin.lower()).strip("-")
    plain = words[:LONGEST].strip("-") or otherwise
    slug, number = plain, 2
    while slug in taken:
        slug, number = f"{plain}-{number}", number + 1
    return slug
