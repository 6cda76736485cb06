"""What the framework says of a body that fits no route's fields, as issues with their paths."""

import re

from litestar.exceptions import ValidationException

from tokenwatcher_server.kernel.errors import Issue

_BODY = "data"
"""What handlers call the body, which is no field of it."""
_NO_BODY = "'data'"
_OF_A_FIELD = re.compile(
    r"Object (?P<what>missing required|contains unknown) field `(?P<name>.+)`$"
)
_SAYS = {"missing required": "is required", "contains unknown": "is not known here"}


def wrong_input(error: ValidationException) -> list[Issue]:
    """Each thing that is wrong, with the path of its field; empty for the body as a whole."""
    extra = error.extra if isinstance(error.extra, list) else []
    return [_issue(item) for item in extra if isinstance(item, dict)]


def _issue(item: dict[str, object]) -> Issue:
    key, message = str(item.get("key", "")), str(item.get("message", "is not valid"))
    path = "" if key == _BODY else key
    if message == _NO_BODY:
        return Issue(path, "a body is needed")
    named = _OF_A_FIELD.match(message)
    if named is None:
        return Issue(path, message.replace("`", ""))
    return Issue(f"{path}.{named['name']}" if path else named["name"], _SAYS[named["what"]])
