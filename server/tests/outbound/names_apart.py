"""Run in a network of its own: a DNS server that answers as told, and the gate on top.

Prints, as JSON, how saving and sending ended for each name, and how many connections the
forbidden socket on 127.0.0.1 counted.
"""

import asyncio
import fcntl
import json
import socket
import struct
import sys
import threading
from ipaddress import ip_address

from server.tests.outbound.conftest import Canary
from tokenwatcher_server.outbound.errors import NotSent
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.policy import Policy

ANSWERS: dict[str, list[list[str]]] = {
    "public.example.com": [["1.1.1.1", "2606:4700::1111"]],
    "private.example.com": [["127.0.0.1"]],
    "mixed.example.com": [["1.1.1.1", "127.0.0.1"]],
    "mixed-families.example.com": [["1.1.1.1", "::1"]],
    "mapped.example.com": [["::ffff:127.0.0.1"]],
    "metadata.example.com": [["169.254.169.254"]],
    "many.example.com": [[f"1.1.{n}.1" for n in range(20)] + ["127.0.0.1"]],
    "moves.example.com": [["1.1.1.1"], ["127.0.0.1"]],
    "127.0.0.1.nip.example.com": [["127.0.0.1"]],
    "unknown.example.com": [[]],
}
"""What each name is answered the first time it is looked up, the second, and so on."""
A, AAAA = 1, 28


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        up = struct.pack("16sh14x", b"lo", 0x41)  # up and running
        fcntl.ioctl(probe, 0x8914, up)  # SIOCSIFFLAGS


def reply(query: bytes, asked: dict[tuple[str, int], int]) -> bytes:
    end = query.index(b"\0", 12)
    labels, at = [], 12
    while at < end:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    name, kind = ".".join(labels).lower(), struct.unpack("!H", query[end + 1 : end + 3])[0]
    rounds = ANSWERS.get(name, [[]])
    turn = asked.get((name, kind), 0)
    asked[name, kind] = turn + 1
    version = {A: 4, AAAA: 6}.get(kind)
    found = [ip_address(text) for text in rounds[min(turn, len(rounds) - 1)]]
    packed = [address.packed for address in found if address.version == version]
    head = query[:2] + struct.pack("!5H", 0x8180, 1, len(packed), 0, 0)
    records = (b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(one)) + one for one in packed)
    return head + query[12 : end + 5] + b"".join(records)


def serve_names(server: socket.socket) -> None:
    asked: dict[tuple[str, int], int] = {}
    while True:
        query, peer = server.recvfrom(4096)
        server.sendto(reply(query, asked), peer)


async def outcome(gate: Gate, url: str) -> list[str]:
    """The kinds of error of saving and of sending; empty where there was none."""
    kinds = []
    for ask in (gate.check(url), gate.send("POST", url, headers={})):
        try:
            await ask
            kinds.append("")
        except NotSent as error:
            kinds.append(type(error).__name__)
    return kinds


def main() -> None:
    raise_loopback()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.53", 53))
    threading.Thread(target=serve_names, args=[server], daemon=True).start()
    canary = Canary("127.0.0.1")
    gate = Gate(Policy(plain_http=True, allowed_ports=frozenset({canary.port})))
    ends = {name: asyncio.run(outcome(gate, f"http://{name}:{canary.port}/")) for name in ANSWERS}
    sys.stdout.write(json.dumps({"ends": ends, "connections": canary.connections()}))


if __name__ == "__main__":
    main()
