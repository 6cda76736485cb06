"""`/settings/security`: the security check-up, and what browsers reported."""

import msgspec
from litestar import Response, get

from tokenwatcher_server.access.checkup import Point
from tokenwatcher_server.web.csp_reports import Seen
from tokenwatcher_server.web.operations import check_up_server
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.links import SECURITY
from tokenwatcher_server.web.pages.viewer import AnyRequest, viewer_of
from tokenwatcher_server.web.services import services_of

WORDS = {"good": "good", "warning": "look at it", "wrong": "wrong"}


class PointRow(msgspec.Struct, frozen=True):
    point: Point
    verdict: str


class SecurityPage(msgspec.Struct, frozen=True):
    points: tuple[PointRow, ...]
    """What is wrong comes first, then what to look at."""
    good: int
    warnings: int
    wrong: int
    violations: tuple[Seen, ...]


@get(SECURITY, include_in_schema=False, right="settings.see")  # fmt: skip
async def security_page(request: AnyRequest) -> Response[str]:
    services, viewer = services_of(request), await viewer_of(request)
    found = await check_up_server(services)
    order = {"wrong": 0, "warning": 1, "good": 2}
    points = sorted(found.points, key=lambda point: order[point.verdict])
    page = SecurityPage(
        points=tuple(PointRow(point, WORDS[point.verdict]) for point in points),
        good=found.count("good"),
        warnings=found.count("warning"),
        wrong=found.wrong,
        violations=tuple(services.violations.seen()),
    )
    return answer_page(
        request, Moment(services.clock.now_us(), None), "security.html", viewer, page
    )


ROUTES = (security_page,)
