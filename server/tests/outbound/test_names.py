"""The system's own resolver, asking a DNS server that answers as an attacker would."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from server.tests.outbound.server_apart import HOSTS, MOVES
from tokenwatcher_server.outbound.errors import NotSent, TargetRefused
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.names import SystemNames
from tokenwatcher_server.outbound.policy import Policy

SCRIPT = "mount --bind '{}' /etc/resolv.conf && exec '{}' -m server.tests.outbound.{}"
APART = ["unshare", "--map-root-user", "--mount", "--net"]
ROOT = Path(__file__).parents[3]


def can_be_apart() -> bool:
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(
            [*APART, "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"],
            check=False,
            capture_output=True,
        ).returncode
    )


apart = pytest.mark.skipif(
    not can_be_apart(), reason="needs a network namespace for its DNS server"
)


def run_apart(module: str, folder: Path) -> Any:
    """What a module prints, run in a network where the test's DNS server is the only one."""
    settings = folder / "resolv.conf"
    settings.write_text("nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
    command = SCRIPT.format(settings, sys.executable, module)
    run = subprocess.run(
        [*APART, "sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@apart
def test_no_answer_of_a_dns_server_leads_to_a_forbidden_socket(tmp_path: Path) -> None:
    found = run_apart("names_apart", tmp_path)
    ends = found["ends"]
    assert ends.pop("public.example.com") == ["", "NotSent"]  # it may go; no network is there
    assert ends.pop("moves.example.com") == ["", "TargetRefused"]
    assert ends.pop("unknown.example.com") == ["NotSent", "NotSent"]
    assert len(ends) == 11
    assert set(map(tuple, ends.values())) == {("TargetRefused", "TargetRefused")}
    assert found["tried"] == 5 * 14  # four kinds with a URL, and e-mail, to each name
    assert found["connections"] == 0


@apart
@pytest.mark.slow
def test_a_whole_server_tells_through_every_channel_and_none_leads_inside(tmp_path: Path) -> None:
    found = run_apart("server_apart", tmp_path)
    hosts = [host for kind, host in HOSTS.items() if kind != "email"]
    assert found["told"] == sorted(hosts)
    assert found["letters"] == [["ops@example.com"]]
    headers, body = found["webhook"]
    assert Webhook(found["secret"]).verify(body, headers)["alertName"] == "Budget"
    unreachable = [str((None, "The server could not be reached.")), "400"]
    assert found["moved"] == dict.fromkeys(MOVES, unreachable)
    assert found["told while moved"] == 0
    assert found["looked up once"] == [200, 2, 2]  # A and AAAA: when it was saved, and when sent
    failed, arrived = found["sent again"]
    assert failed == arrived == len(MOVES) * len(HOSTS)
    assert found["bad"] == {
        "redirect": [302, "The receiver answered 302: redirects are not followed."],
        "drip": [None, "The server took too long."],
        "endless": [200, None],
    }
    assert found["connections"] == 0


def test_names_that_nobody_answers_keep_nothing_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither what works in the pool of threads, nor the look-up of a name that is answered."""
    answered = threading.Event()
    really = socket.getaddrinfo

    def patient(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("silent"):
            answered.wait()
        return really("127.0.0.1", *rest, **options)

    async def work() -> None:
        gate = Gate(Policy(), timeout_seconds=0.2, resolve=SystemNames(40))
        urls = [f"https://silent-{number}.example.com/" for number in range(40)]
        ends = await asyncio.gather(*map(gate.check, urls[:30]), return_exceptions=True)
        assert {str(end) for end in ends} == {"The server took too long."}
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(int, "7") == 7
            with pytest.raises(TargetRefused):
                await gate.check("https://answered.example.com/")
        await asyncio.gather(*map(gate.check, urls[30:]), return_exceptions=True)
        with pytest.raises(NotSent, match="could not be reached"):
            await gate.check("https://one-too-many.example.com/")
        answered.set()
        async with asyncio.timeout(5):
            while not await can_look_up(gate):  # noqa: ASYNC110 - a thread ends it
                await asyncio.sleep(0.01)

    async def can_look_up(gate: Gate) -> bool:
        try:
            await gate.check("https://answered.example.com/")
        except NotSent as error:
            return isinstance(error, TargetRefused)
        return False

    monkeypatch.setattr(socket, "getaddrinfo", patient)
    try:
        asyncio.run(work())
    finally:
        answered.set()
