"""Templates compile, fail on undefined names, escape everything, and hold nothing inline."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jinja2 import UndefinedError

from tokenwatcher_server.web.errors import problem
from tokenwatcher_server.web.pages.login import LoginPage
from tokenwatcher_server.web.pages.start import Landed, StartPage
from tokenwatcher_server.web.render import TEMPLATES, ErrorPage, PageFrame, environment, render

HOSTILE = "<script>alert(1)</script>\"'{{7*7}}"
FRAME = PageFrame(path="/", user_name=HOSTILE, csrf_token=HOSTILE, theme="dark")
NAMES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
PAGES: dict[str, msgspec.Struct] = {
    "login.html": LoginPage(next=HOSTILE, username=HOSTILE, problem=HOSTILE),
    "error.html": ErrorPage(problem(404, HOSTILE, HOSTILE, HOSTILE)),
    "start.html": StartPage(
        endpoint=HOSTILE, landed=Landed(0, HOSTILE), raw_key=HOSTILE, live=True
    ),
}


class Nothing(msgspec.Struct):
    pass


@pytest.mark.parametrize("name", NAMES)
def test_a_template_compiles(name: str) -> None:
    environment().get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_holds_nothing_that_the_policy_forbids(name: str) -> None:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|hx-on|javascript:|\|\s*safe\b", source)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", source))
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", source)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("fragment", [False, True])
def test_a_page_shows_hostile_text_as_text(name: str, fragment: bool) -> None:
    page = render(name, msgspec.structs.replace(FRAME, fragment=fragment), PAGES[name])
    assert "<script>alert" not in page
    assert "{{7*7}}" in page
    assert "49" not in re.sub(r"/static/[0-9a-f]+/|\d+\.\d+", "", page.split("<main")[1])


@pytest.mark.parametrize(
    "name", ["overview.html", "explore.html", "events.html", "event.html", "keys.html", *PAGES]
)
def test_a_page_without_its_context_fails_instead_of_showing_gaps(name: str) -> None:
    with pytest.raises(UndefinedError):
        render(name, FRAME, Nothing())


def test_a_fragment_is_the_main_column_of_the_page_and_nothing_else() -> None:
    page = PAGES["start.html"]
    whole = render("start.html", FRAME, page)
    part = render("start.html", msgspec.structs.replace(FRAME, fragment=True), page)
    assert "<html" not in part
    assert _main(part).split() == _main(whole).split()


def _main(page: str) -> str:
    return page[page.index("<main") : page.index("</main>")]


def test_every_template_is_reached_from_a_page() -> None:
    named: set[str] = set()
    for source in (*TEMPLATES.rglob("*.html"), *Path(TEMPLATES).parent.rglob("*.py")):
        named |= set(re.findall(r"\"([\w/]+\.html)\"", source.read_text(encoding="utf-8")))
    assert set(NAMES) <= named


def test_a_theme_is_written_into_the_page() -> None:
    page: Any = PAGES["login.html"]
    assert 'data-theme="dark"' in render("login.html", FRAME, page)
    assert "data-theme" not in render("login.html", PageFrame(path="/"), page)
