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

from tokenwatcher_server.outbound.errors import NotSent, TargetRefused
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.names import SystemNames
from tokenwatcher_server.outbound.policy import Policy

SCRIPT = "mount --bind '{}' /etc/resolv.conf && exec '{}' -m server.tests.outbound.names_apart"
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


@pytest.mark.skipif(not can_be_apart(), reason="needs a network namespace for its DNS server")
def test_no_answer_of_a_dns_server_leads_to_a_forbidden_socket(tmp_path: Path) -> None:
    settings = tmp_path / "resolv.conf"
    settings.write_text("nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
    command = SCRIPT.format(settings, sys.executable)
    run = subprocess.run(
        [*APART, "sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    ends = found["ends"]
    assert ends.pop("public.example.com") == ["", "NotSent"]  # it may go; no network is there
    assert ends.pop("moves.example.com") == ["", "TargetRefused"]
    assert ends.pop("unknown.example.com") == ["NotSent", "NotSent"]
    assert len(ends) == 7
    assert set(map(tuple, ends.values())) == {("TargetRefused", "TargetRefused")}
    assert found["tried"] == 5 * 10  # four kinds with a URL, and e-mail, to each name
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
