"""What a page is dressed with: from this server alone, kept for ever, and what it claims to be."""

import gzip
import hashlib
import itertools
import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tokenwatcher_server.usage.palette import SLOTS
from tokenwatcher_server.web.static_files import FOLDER, static_files, static_url

VENDORED = [FOLDER / "vendor", Path(__file__).parents[1] / "browser" / "vendor"]
CARDS = {"light": "#ffffff", "dark": "#171b1e"}
DEFICIENT = {  # Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "full colour": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}  # fmt: skip
Colour = tuple[float, float, float]


@pytest.mark.parametrize("folder", VENDORED, ids=["shipped", "tests"])
def test_vendored_files_are_the_published_ones_with_their_licences(folder: Path) -> None:
    listed = tomllib.loads((folder / "vendor.toml").read_text(encoding="utf-8"))
    files = {folder / entry["file"] for entry in listed.values()}
    for entry in listed.values():
        path = folder / entry["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        assert (path.parent / "LICENSE").stat().st_size > 100
        assert entry["version"]
        assert entry["licence"]
    present = {path for path in folder.rglob("*") if path.is_file()}
    assert {path for path in present if path.name not in {"LICENSE", "vendor.toml"}} == files


def test_an_address_changes_with_the_content_and_style_sheets_name_addresses() -> None:
    font = static_url("vendor/inter/inter-latin-wght-normal.woff2")
    sheet = static_files()["tokens.css"]
    assert font.encode() in sheet.content
    assert hashlib.sha256(sheet.content).hexdigest().startswith(sheet.digest)
    assert sheet.gzipped is not None
    assert gzip.decompress(sheet.gzipped) == sheet.content


def test_our_own_files_ask_no_other_server_for_anything() -> None:
    for file in static_files().values():
        if file.gzipped is not None and not file.name.startswith("vendor/"):
            outside = re.findall(rb"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*", file.content)
            assert [one for one in outside if b"www.w3.org" not in one] == []
            assert b"eval(" not in file.content
            assert b"innerHTML" not in file.content


def test_a_file_is_served_for_ever_and_only_under_its_own_hash(instance: Any) -> None:
    url = static_url("layout.css")
    with instance.client() as client:
        answer = client.get(url)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["x-content-type-options"] == "nosniff"
        plain = client.get(url, headers={"accept-encoding": "identity"})
        assert plain.content == answer.content == static_files()["layout.css"].content
        assert (
            client.get(re.sub(r"/static/\w+/", "/static/0123456789abcdef/", url)).status_code == 404
        )
        for name in (
            "../render.py",
            "%2e%2e/render.py",
            "vendor/vendor.toml",
            "vendor/htmx/LICENSE",
        ):
            assert client.get(f"/static/0123456789abcdef/{name}").status_code == 404


@pytest.mark.parametrize("sight", DEFICIENT)
@pytest.mark.parametrize("theme", CARDS)
def test_the_models_colours_can_be_told_apart(theme: str, sight: str) -> None:
    seen = [_oklab(colour, DEFICIENT[sight]) for colour in _palette(theme)]
    assert min(math.dist(one, other) for one, other in itertools.combinations(seen, 2)) >= 0.09


@pytest.mark.parametrize("theme", CARDS)
def test_the_models_colours_stand_out_from_the_card(theme: str) -> None:
    card = _luminance(_linear(CARDS[theme]))
    for colour in _palette(theme):
        bright, dark = sorted((card, _luminance(colour)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 3


def _palette(theme: str) -> list[Colour]:
    source = (FOLDER / "tokens.css").read_text(encoding="utf-8")
    found = dict(re.findall(r"--m([1-9]): light-dark\((#\w{6}, #\w{6})\)", source))
    assert sorted(found) == [str(slot) for slot in range(1, SLOTS + 1)]
    return [_linear(pair.split(", ")[theme == "dark"]) for pair in found.values()]


def _linear(text: str) -> Colour:
    channels = [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return red, green, blue


def _luminance(colour: Colour) -> float:
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), colour, strict=True))


def _times(matrix: tuple[Colour, ...], vector: Colour) -> Colour:
    x, y, z = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return x, y, z


def _oklab(colour: Colour, sight: tuple[Colour, ...]) -> Colour:
    """Where people with this sight see the colour, in a space where distance is difference."""
    seen = _times(sight, colour)
    to_cones = ((0.4122, 0.5363, 0.0514), (0.2119, 0.6807, 0.1074), (0.0883, 0.2817, 0.6300))
    cones = _times(to_cones, (max(0, seen[0]), max(0, seen[1]), max(0, seen[2])))
    roots = (cones[0] ** (1 / 3), cones[1] ** (1 / 3), cones[2] ** (1 / 3))
    to_lab = ((0.2105, 0.7936, -0.0041), (1.9780, -2.4286, 0.4506), (0.0259, 0.7828, -0.8087))
    return _times(to_lab, roots)
