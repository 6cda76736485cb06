"""`/settings`: what this instance is, how it was set up, and the keys of the keyboard."""

from collections.abc import Iterable

import msgspec
from litestar import Response, get

from tokenwatcher_server import __version__
from tokenwatcher_server.settings import SETTINGS, Setting, Settings
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.links import SETTINGS_PAGE
from tokenwatcher_server.web.pages.viewer import AnyRequest, viewer_of
from tokenwatcher_server.web.services import services_of

UNCHANGED = Settings()
SHORTCUTS = (
    ("/", "to the first field or picker"),
    ("g, then a letter", "to a page: the letter stands beside its name"),
    ("j and k", "down and up in a table"),
    ("← and →", "along a chart, Enter to zoom in"),
    ("Esc", "closes what is open"),
)


class SettingRow(msgspec.Struct, frozen=True):
    """One setting in words; a secret is only ever said to be there or not."""

    variable: str
    value: str
    sentence: str
    changed: bool


class SettingsPage(msgspec.Struct, frozen=True):
    version: str
    stores_prompts: bool
    workspaces: int
    projects: int
    settings: tuple[SettingRow, ...]
    """Empty for who doesn't own the instance."""
    shortcuts: tuple[tuple[str, str], ...]


@get(SETTINGS_PAGE, include_in_schema=False)
async def settings_page(request: AnyRequest) -> Response[str]:
    services, viewer = services_of(request), await viewer_of(request)
    shown = viewer.principal.may("settings.see")
    page = SettingsPage(
        version=__version__,
        stores_prompts=services.settings.store_prompts,
        workspaces=len(viewer.workspaces),
        projects=len(viewer.projects),
        settings=tuple(setting_rows(services.settings, SETTINGS if shown else ())),
        shortcuts=SHORTCUTS,
    )
    moment = Moment(services.clock.now_us(), None)
    return answer_page(request, moment, "settings.html", viewer, page)


def setting_rows(settings: Settings, known: Iterable[Setting]) -> Iterable[SettingRow]:
    """Each setting with its value, in the order of the table they are defined in."""
    for setting in known:
        value = getattr(settings, setting.field)
        yield SettingRow(
            variable=setting.variable,
            value=_secret(value) if setting.secret else _text(value),
            sentence=setting.sentence.replace("`", ""),
            changed=value != getattr(UNCHANGED, setting.field),
        )


def _secret(value: object) -> str:
    return "set, not shown" if value else "not set"


def _text(value: object) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


ROUTES = (settings_page,)
