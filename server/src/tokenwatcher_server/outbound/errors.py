"""Why nothing came of a request."""


class NotSent(Exception):
    """The request came to nothing.

    `str(error)` may be shown to whoever entered the address: it is the same for an address that
    is refused, a name that is unknown and a port that is closed, so nobody can map a network
    with it. `reason` is for the operator's log.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TargetRefused(NotSent):
    """The request may not go there; nothing was sent."""


def unreachable(reason: str) -> NotSent:
    return NotSent("The server could not be reached.", reason)


def refused(reason: str) -> TargetRefused:
    return TargetRefused("The server could not be reached.", reason)


def too_slow(reason: str) -> NotSent:
    return NotSent("The server took too long.", reason)
