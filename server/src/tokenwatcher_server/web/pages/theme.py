"""`POST /theme`: the theme's switch where no script turns it."""

from urllib.parse import urlsplit

from litestar import Response, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.pages.login import local_path
from tokenwatcher_server.web.pages.viewer import AnyRequest
from tokenwatcher_server.web.render import THEME_COOKIE, THEMES

YEAR_SECONDS = 365 * 86_400


@post("/theme", include_in_schema=False, right="account.change")
async def choose_theme(request: AnyRequest, principal: Caller) -> Response[None]:  # noqa: ARG001 - who may
    """Keep the choice in a cookie; anything but a theme goes back to the system's."""
    chosen = str((await request.form()).get("theme", ""))
    came_from = urlsplit(request.headers.get("referer", "/"))
    back = local_path(came_from._replace(scheme="", netloc="").geturl())
    response: Response[None] = Redirect(back, status_code=303)
    if chosen in THEMES:
        response.set_cookie(
            Cookie(THEME_COOKIE, value=chosen, path="/", max_age=YEAR_SECONDS, samesite="lax")
        )
    else:
        response.delete_cookie(THEME_COOKIE)
    return response


ROUTES = (choose_theme,)
