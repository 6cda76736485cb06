"""A network that a test has to itself, with a DNS server in it that answers as told."""

import fcntl
import socket
import struct
import threading
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address

A, AAAA = 1, 28
SET_FLAGS, SET_ADDRESS, SET_MASK = 0x8914, 0x8916, 0x891C


def raise_loopback(*also: str) -> None:
    """Bring the loopback device up, with further addresses of version 4 on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        up = struct.pack("16sh14x", b"lo", 0x41)  # up and running
        fcntl.ioctl(probe, SET_FLAGS, up)
        for number, address in enumerate(also):
            name = f"lo:{number}".encode()
            for request, said in ((SET_ADDRESS, address), (SET_MASK, "255.255.255.255")):
                place = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(said))
                fcntl.ioctl(probe, request, struct.pack("16s16s", name, place))


class NameServer:
    """Answers on 127.0.0.53; names that are `silent` get no answer.

    `answers` holds what each name is answered the first time it is looked up, the second, and so
    on, the last for good.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Sequence[Sequence[str]]] = {}
        self.silent: set[str] = set()
        self.asked: Counter[tuple[str, int]] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.53", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def now(self, name: str, *addresses: str) -> None:
        """From now on a name is answered so."""
        self.answers[name] = [addresses]

    def _serve(self) -> None:
        while True:
            query, peer = self._socket.recvfrom(4096)
            if (answer := self._reply(query)) is not None:
                self._socket.sendto(answer, peer)

    def _reply(self, query: bytes) -> bytes | None:
        end = query.index(b"\0", 12)
        labels, at = [], 12
        while at < end:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels).lower(), struct.unpack("!H", query[end + 1 : end + 3])[0]
        turn = self.asked[name, kind]
        self.asked[name, kind] += 1
        if name in self.silent:
            return None
        rounds = self.answers.get(name, [[]])
        version = {A: 4, AAAA: 6}.get(kind)
        found = [ip_address(text) for text in rounds[min(turn, len(rounds) - 1)]]
        packed = [address.packed for address in found if address.version == version]
        head = query[:2] + struct.pack("!5H", 0x8180, 1, len(packed), 0, 0)
        records = (b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(one)) + one for one in packed)
        return head + query[12 : end + 5] + b"".join(records)
