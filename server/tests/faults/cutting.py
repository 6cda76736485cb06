"""A way to a server whose connections are cut now and then, in mid-request and in mid-answer."""

import random
import socket
import threading
from contextlib import suppress
from typing import Literal

Where = Literal["requests", "answers"]


class CuttingProxy:
    """Leads to a port of this machine.

    `cut` is the share of the pieces of data that are handed on in part, or not at all, before both
    ends are hung up. So a request may be carried out whose answer never comes. Where it is set, of
    every answer the first bytes come through, as many as `most_of_answers` says.
    """

    def __init__(self, port: int) -> None:
        self.cut = 0.0
        self.most_of_answers: int | None = None
        self.cuts: dict[Where, int] = {"requests": 0, "answers": 0}
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listening.getsockname()[1])
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
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            with server:
                back = threading.Thread(target=self._forward, args=(server, client, "answers"))
                back.start()
                self._forward(client, server, "requests")
                back.join()

    def _forward(self, source: socket.socket, target: socket.socket, what: Where) -> None:
        try:
            while data := source.recv(65_536):
                most = self._most_of(data, what)
                target.sendall(data[:most])
                if most is not None:
                    self.cuts[what] += 1
                    break
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _most_of(self, data: bytes, what: Where) -> int | None:
        if what == "answers" and self.most_of_answers is not None:
            return self.most_of_answers
        return random.randrange(len(data)) if random.random() < self.cut else None
