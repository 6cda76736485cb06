"""Templates to pages. Undefined names fail, everything is escaped, nothing is inline.

A template sees its `page` (the context struct of its page), the `frame` around it, and the
filters below. It never builds an address or an amount by itself.
"""

import functools
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request

from tokenwatcher_server.access.roles import Right
from tokenwatcher_server.alerts.wording import amount
from tokenwatcher_server.kernel import clock, money
from tokenwatcher_server.usage import text
from tokenwatcher_server.web.errors import Problem
from tokenwatcher_server.web.static_files import static_url

TEMPLATES = Path(__file__).parent / "templates"
THEME_COOKIE = "tokenwatcher_theme"
THEMES = ("light", "dark")


class NavEntry(msgspec.Struct, frozen=True):
    label: str
    href: str
    shortcut: str
    """The letter after `g` that leads here."""
    question: str = ""
    """What the page is asked first."""
    right: Right = "usage.see"
    """Who doesn't hold it anywhere is not led here."""


class NavGroup(msgspec.Struct, frozen=True):
    label: str
    entries: tuple[NavEntry, ...]


NAV = (
    NavGroup(
        "Usage",
        (
            NavEntry("Overview", "/", "o"),
            NavEntry("Explore", "/explore", "x", "?measures=cost,calls,totalTokens&groupBy=model"),
            NavEntry("Events", "/events", "e"),
            NavEntry("Users", "/users", "u"),
            NavEntry("Models", "/models", "m"),
            NavEntry("Alerts", "/alerts", "a"),
        ),
    ),
    NavGroup(
        "Set up",
        (
            NavEntry("Projects", "/projects", "p"),
            NavEntry("API keys", "/keys", "k"),
            NavEntry("Prices", "/prices", "r"),
            NavEntry("Members", "/members", "t", right="members.see"),
            NavEntry("Audit log", "/audit-log", "l", right="audit.see"),
            NavEntry("Settings", "/settings", "s"),
        ),
    ),
)


class PageFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds every page: who is signed in, where we are, and how it should look."""

    path: str
    theme: str = ""
    """`light`, `dark`, or empty for what the system says."""
    user_name: str | None = None
    csrf_token: str = ""
    fragment: bool = False
    """True where only the main column is asked for, to be put in place of the present one."""
    nav: tuple[NavGroup, ...] = NAV
    insecure: bool = False
    """True where the operator started the server against its advice: the page says so."""


class ErrorPage(msgspec.Struct, frozen=True):
    problem: Problem


def render(template: str, frame: PageFrame, page: msgspec.Struct | None = None) -> str:
    """Fill a template; raises where it names something that isn't there."""
    return environment().get_template(template).render(frame=frame, page=page)


def theme_of(request: Request[Any, Any, Any]) -> str:
    """The theme that was chosen with the switch, or empty for the system's."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


@functools.cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["static"] = static_url
    made.filters |= {
        "amount": amount,
        "money_parts": text.money_parts,
        "money": text.money,
        "money_short": text.money_short,
        "exact_usd": money.usd_text,
        "count": text.count,
        "count_short": text.count_short,
        "duration": text.duration,
        "duration_parts": text.duration_parts,
        "change_text": text.change_text,
        "iso": clock.iso,
    }
    return made
