"""Finds credentials in a text by their look: in errors that are sent, and in what is logged."""

import re

_CREDENTIALS = re.compile(
    r"""
    (?P<scheme>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}
    | \b(?:sk|pk|rk|gsk|xai|tw|hf|key|ghp|gho|glpat|xox[abps]|r8|pplx|fw|nvapi)[-_][A-Za-z0-9_-]{8,}
    | \bAIza[A-Za-z0-9_-]{16,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?
    | (?P<label>(?:api[-_]?key|password|passwd|secret|token|authorization)["']?\s*[:=]\s*["']?)
      (?:(?:Bearer|Basic)\s+)?[^\s"',;&]{6,}
    | (?P<url>://[^\s:/@]*:)[^\s/@]+(?=@)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def mask_credentials(text: str) -> str:
    """Replace what looks like a key, token or password by `***`, keeping what names it."""
    return _CREDENTIALS.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    return f"{found['scheme'] or found['label'] or found['url'] or ''}***"
