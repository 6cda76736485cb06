"""What surrounds a page, for the request that asks for it."""

from typing import Any

from litestar import Request

from tokenwatcher_server.web.render import NAV, NavGroup, PageFrame, theme_of
from tokenwatcher_server.web.services import services_of


def frame_of(
    request: Request[Any, Any, Any],
    path: str,
    *,
    csrf_token: str = "",
    user_name: str | None = None,
    nav: tuple[NavGroup, ...] = NAV,
) -> PageFrame:
    """Without a name, the page is for somebody who has not signed in."""
    return PageFrame(
        path=path,
        theme=theme_of(request),
        user_name=user_name,
        csrf_token=csrf_token,
        nav=nav,
        insecure=services_of(request).settings.insecure,
    )
