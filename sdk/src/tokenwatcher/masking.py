"""Credentials are masked in every text that leaves: error messages, logs, reprs."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(
    r"""
    (?P<scheme>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}
    | \b(?:sk|pk|rk|gsk|csk|xai|tw|hf|key|ghp|gho|glpat|xox[abps]|r8|pplx|fw|nvapi|pa)[-_]
      [A-Za-z0-9*_-]{8,}
    | \bAIza[A-Za-z0-9_-]{16,}
    | \bya29\.[A-Za-z0-9._-]{8,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?
    | (?P<label>
        (?:api[-_\ ]?key(?:\ provided)?|[?&]key|password|passwd|secret|token|authorization|signature)
        ["']?\s*[:=]\s*["']?
      )(?:(?:Bearer|Basic)\s+)?[^\s"',;&]{6,}
    | (?P<url>://[^\s:/@]*:)[^\s/@]+(?=@)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def mask(text: str) -> str:
    """Replace what looks like a key, token or password by `***`, keeping what names it."""
    return _CREDENTIALS.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    return f"{found['scheme'] or found['label'] or found['url'] or ''}***"


def shown_key(api_key: str | None) -> str:
    """Give the part of our own key that tells which one it is."""
    if not api_key:
        return "none"
    kept = 8 if api_key.startswith("tw_") and len(api_key) > 24 else 0
    return f"{api_key[:kept]}***"
