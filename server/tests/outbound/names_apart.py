"""Run in a network of its own: a DNS server that answers as told, and the gate on top.

Prints, as JSON, how saving and sending ended for each name, how many channels of every kind were
tried with each, and how many connections the forbidden sockets counted.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from server.tests.alerts.sending import Place, sent_once
from server.tests.outbound.conftest import Canary
from server.tests.outbound.names_server import NameServer, raise_loopback
from tokenwatcher_server.alerts.channels import KINDS
from tokenwatcher_server.outbound.errors import NotSent
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.mail import Mail, MailServer
from tokenwatcher_server.outbound.policy import Policy

OWN = "9.9.9.9"
"""An address of the open internet that is this machine's."""
INSIDE = ("10.0.0.1", "100.100.100.200", "169.254.169.254", OWN)
ANSWERS: dict[str, list[list[str]]] = {
    "public.example.com": [["1.1.1.1", "2606:4700::1111"]],
    "private.example.com": [["127.0.0.1"]],
    "mixed.example.com": [["1.1.1.1", "127.0.0.1"]],
    "mixed-families.example.com": [["1.1.1.1", "::1"]],
    "mapped.example.com": [["::ffff:127.0.0.1"]],
    "metadata.example.com": [["169.254.169.254"]],
    "shared.example.com": [["1.1.1.1", "100.100.100.200"]],
    "inside.example.com": [["10.0.0.1"]],
    "own.example.com": [[OWN]],
    "half-own.example.com": [["1.1.1.1", OWN]],
    "many.example.com": [[f"1.1.{n}.1" for n in range(20)] + ["127.0.0.1"]],
    "moves.example.com": [["1.1.1.1"], ["127.0.0.1"]],
    "127.0.0.1.nip.example.com": [["127.0.0.1"]],
    "unknown.example.com": [[]],
}
"""What each name is answered the first time it is looked up, the second, and so on."""


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
    raise_loopback(*INSIDE)
    NameServer().answers.update(ANSWERS)
    first = Canary("127.0.0.1")
    canaries = [first, *(Canary(address, first.port) for address in ("::1", *INSIDE))]
    assert sum(canary.is_heard() for canary in canaries) == 2 + len(INSIDE)
    gate = Gate(Policy(plain_http=True, allowed_ports=frozenset({first.port})))
    ends = {name: asyncio.run(outcome(gate, f"http://{name}:{first.port}/")) for name in ANSWERS}
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder, str(number)) for number in range(1 + len(ANSWERS))]
        for each in folders:
            each.mkdir()
        tried = asyncio.run(through_channels(folders, gate, first.port))
    counted = sum(canary.connections() for canary in canaries)
    found = {"ends": ends, "tried": tried, "connections": counted}
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
