"""`GET /static/{digest}/{name}`: files that never change under their address."""

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.web.static_files import static_files

FOR_EVER = "public, max-age=31536000, immutable"


@get(["/static/{digest:str}/{name:path}"], include_in_schema=False, sync_to_thread=False)
def asset(
    request: Request[Any, Any, Any], digest: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    file = static_files().get(name.lstrip("/"))
    if file is None or file.digest != digest:
        raise not_found()
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    content = file.content
    if file.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = file.gzipped
    return Response(content, media_type=file.media_type, headers=headers)


ROUTES = (asset,)
