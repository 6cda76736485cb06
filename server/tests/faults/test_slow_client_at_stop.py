"""A client that sends a byte a second can't keep a server from stopping."""

import signal
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 7, "outputTokens": 1}
HEAD = (
    "POST /api/ingest HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: application/json\r\nContent-Length: 200\r\n\r\n"
)


def drip(connection: socket.socket, ended: threading.Event) -> None:
    """Send the beginning of a body, ever so slowly, until nobody listens any more."""
    try:
        while not ended.wait(0.5):
            connection.sendall(b" ")
    except OSError:
        return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_does_not_wait_for_a_body_that_drips(new_instance: Any, number: int) -> None:
    instance = new_instance()
    key, ended = instance.key(), threading.Event()
    with instance.client(key) as client:
        assert client.post("/api/ingest", json=EVENT).status_code == 200
    address = urlsplit(instance.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(HEAD.format(host=address.netloc, key=key).encode() + b'{"provider"')
        slow = threading.Thread(target=drip, args=(connection, ended))
        slow.start()
        time.sleep(1)  # its request is being read
        instance.signal(number)
        instance.process.communicate(timeout=15)
        ended.set()
        slow.join()
    assert instance.process.returncode == 0, instance.log
    instance.start()
    with instance.client(instance.key("--kind", "read")) as client:
        assert client.get("/api/stats").json()["overview"]["callCount"] == 1
