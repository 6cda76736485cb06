"""The system's own resolver, asking a DNS server that answers as an attacker would."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
