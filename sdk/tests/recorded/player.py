"""A local server that plays the providers, its answers coming in pieces as small as one byte.

It is an HTTP proxy, so that a client keeps its provider's own address, by which it is known who
answers.
"""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sdk.tests.recorded.exchanges import Exchange, body_of, headers_of

MOST_PIECES = 120
"""A short body comes byte by byte, a long one in about so many pieces."""
_SECONDS_BETWEEN = 0.00005
"""The client's thread gets to read one piece before the next is sent."""
_SINGLE_BYTES = 24
"""So much of the beginning of every body comes byte by byte."""


class Player:
    """Plays one exchange at a time to whoever asks."""

    def __init__(self) -> None:
        self.exchange: Exchange = {}
        self.in_pieces = False
        self.breaks = False
        """The connection breaks in the middle of the body."""
        self.go_on = threading.Event()
        """Where it is not set, the body stops in the middle until it is."""
        self.go_on.set()
        self.is_waiting = threading.Event()
        handler = type("Handler", (_Handler,), {"player": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def play(self, exchange: Exchange, *, in_pieces: bool) -> None:
        """Answer with this exchange from now on, whole or in small pieces."""
        self.exchange = exchange
        self.in_pieces = in_pieces
        self.breaks = False
        self.is_waiting.clear()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 10
    player: Player

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        exchange = self.player.exchange
        body = body_of(exchange)
        self.send_response_only(exchange["response"]["status"])
        for name, value in headers_of(exchange).items():
            self.send_header(name, value)
        self.send_header("X-Request-Id", f"req_{exchange['name'][-12:]}")
        self.send_header("Connection", "close")  # so that no client keeps one open
        chunked = exchange["streaming"]
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self._send(body, chunked=chunked)
        except OSError:
            return  # the client has left

    do_GET = do_POST  # noqa: N815  # the name the base class calls

    def _send(self, body: bytes, *, chunked: bool) -> None:
        player = self.player
        ends = cuts(body) if player.in_pieces else [len(body) // 2, len(body)]
        start = 0
        for end in ends:
            piece = body[start:end]
            if start >= len(body) // 2:
                player.is_waiting.set()
                player.go_on.wait(5)
                if player.breaks:
                    return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            time.sleep(_SECONDS_BETWEEN)
            start = end
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


def cuts(body: bytes) -> list[int]:
    """Tell where the pieces of a body end: inside characters and line ends, then all over it."""
    if len(body) <= MOST_PIECES:
        return list(range(1, len(body) + 1))
    in_characters = [place for place, byte in enumerate(body) if byte & 0xC0 == 0x80]
    in_line_ends = [place + 1 for place, byte in enumerate(body[:-1]) if byte in b"\r\n"]
    step = len(body) // (MOST_PIECES // 2) + 1
    chosen = {
        *range(1, _SINGLE_BYTES),
        *_some(in_characters, MOST_PIECES // 4),
        *_some(in_line_ends, MOST_PIECES // 4),
        *range(step, len(body), step),
        len(body),
    }
    return sorted(chosen)


def _some(places: list[int], most: int) -> list[int]:
    """At most so many of the places, from all over."""
    return places[:: len(places) // most + 1]
