"""Slugs: short names for addresses and commands, unique where they live."""

import re
from collections.abc import Container

LONGEST = 90


def slug_of(name: str, taken: Container[str]) -> str:
    """Lower-case ASCII words joined by hyphens; `-2`, `-3` and so on where it is taken."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST] or "project"
    slug, number = plain, 2
    while slug in taken:
        slug, number = f"{plain}-{number}", number + 1
    return slug
