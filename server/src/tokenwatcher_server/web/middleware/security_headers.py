"""The headers that every answer carries, made once from the settings.

Reports of violations come from pages alone, so only pages say where to send them. They say so by
`report-uri`, which every browser follows; beside `report-to` some ignore it where there is no HTTPS.
"""

import msgspec

from tokenwatcher_server.settings import Settings
from tokenwatcher_server.web.reply import RawHeaders

CSP_REPORTS = "/api/csp-reports"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
NO_STORE = (b"cache-control", b"no-store")
HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")
"""For a year; added where the client's own connection is encrypted, as it means nothing else."""
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),  # holds where CSP_REPORT_ONLY leaves frame-ancestors open
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"server", b"tokenwatcher"),
)


class SecurityHeaders(msgspec.Struct, frozen=True):
    data: RawHeaders
    """For answers that no browser shows as a page."""
    page: RawHeaders


def security_headers(settings: Settings) -> SecurityHeaders:
    """What the settings make of the policy, and what is always there."""
    name = b"content-security-policy"
    if settings.csp_report_only:
        name += b"-report-only"
    policy = content_security_policy(settings)
    reporting = f"{policy}; report-uri {CSP_REPORTS}"
    return SecurityHeaders(
        data=((name, policy.encode()), *_ALWAYS),
        page=(
            (name, reporting.encode()),
            *_ALWAYS,
        ),
    )


def content_security_policy(settings: Settings) -> str:
    """The policy; pages may connect further where the operator named other servers."""
    if not settings.csp_connect_src:
        return POLICY
    return f"{POLICY}; connect-src 'self' {' '.join(settings.csp_connect_src)}"
