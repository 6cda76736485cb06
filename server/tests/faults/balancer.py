"""A load balancer before several servers, whose connections break now and then."""

import random
import socket
import threading
from collections.abc import Sequence
from itertools import cycle
from urllib.parse import urlsplit


class Balancer:
    """Gives each connection to the next server.

    `cut` is the share of connections that break while the answer is under way, so that nobody
    knows whether the request was carried out.
    """

    def __init__(self, urls: Sequence[str], cut: float = 0.0) -> None:
        self._upstreams = cycle([(str(urlsplit(u).hostname), urlsplit(u).port or 80) for u in urls])
        self._cut = cut
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        breaks = random.random() < self._cut
        try:
            upstream = socket.create_connection(next(self._upstreams), timeout=30)
        except OSError:
            client.close()
            return
        back = threading.Thread(
            target=_forward, args=(upstream, client, 20 if breaks else None), daemon=True
        )
        back.start()
        _forward(client, upstream, None)
        back.join(timeout=30)
        client.close()
        upstream.close()


def _forward(source: socket.socket, target: socket.socket, most: int | None) -> None:
    """Hand on what comes, up to `most` bytes; then hang up."""
    try:
        while data := source.recv(65_536):
            target.sendall(data[:most])
            if most is not None:
                break
        target.shutdown(socket.SHUT_WR if most is None else socket.SHUT_RDWR)
    except OSError:
        pass
