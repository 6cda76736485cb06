"""Run in a network of its own: a DNS server that answers as told, and the gate on top.

Prints, as JSON, how saving and sending ended for each name, how many channels of every kind were
tried with each, and how many connections the forbidden socket on 127.0.0.1 counted.
"""

import asyncio
import fcntl
import json
import socket
import struct
import sys
import tempfile
import threading
from ipaddress import ip_address
from pathlib import Path

from server.tests.alerts.sending import Place, sent_once
from server.tests.outbound.conftest import Canary
from tokenwatcher_server.alerts.channels import KINDS
from tokenwatcher_server.outbound.errors import NotSent
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.mail import Mail, MailServer
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


async def through_channels(folders: list[Path], gate: Gate, port: int) -> int:
    """Send an alert through each kind of channel to each name; says how many were in vain."""
    kinds = sorted(KINDS.keys() - {"email", "pagerduty"})
    places = [Place(kind, f"http://{name}:{port}/") for kind in kinds for name in ANSWERS]
    tried = await sent_once(folders[0], places, gate)
    for name, folder in zip(ANSWERS, folders[1:], strict=True):
        server = MailServer(host=name, port=port, sender="tokenwatcher@example.com")
        mail = Mail(Policy(), server, timeout_seconds=3)
        letter = [Place("email", "mailto:ann@example.com")]
        tried += await sent_once(folder, letter, gate, mail)
    return sum(attempt.status is None for attempt in tried)


def main() -> None:
    raise_loopback()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.53", 53))
    threading.Thread(target=serve_names, args=[server], daemon=True).start()
    canary = Canary("127.0.0.1")
    gate = Gate(Policy(plain_http=True, allowed_ports=frozenset({canary.port})))
    ends = {name: asyncio.run(outcome(gate, f"http://{name}:{canary.port}/")) for name in ANSWERS}
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder, str(number)) for number in range(1 + len(ANSWERS))]
        for each in folders:
            each.mkdir()
        tried = asyncio.run(through_channels(folders, gate, canary.port))
    found = {"ends": ends, "tried": tried, "connections": canary.connections()}
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
