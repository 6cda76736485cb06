"""The receiver that the documentation shows accepts what we send, and nothing else."""

import re
import time
from pathlib import Path
from typing import Any

from tokenwatcher_server.alerts.signing import new_secret, signed_headers

PAGE = Path(__file__).parents[3] / "docs" / "alerts.md"


def documented() -> Any:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["is_genuine"]


def test_the_documented_receiver_takes_ours_and_refuses_the_rest() -> None:
    is_genuine, secret, now = documented(), new_secret(), int(time.time())
    headers = signed_headers("id", now, b'{"a":1}', [new_secret(), secret])
    assert is_genuine(secret, headers, b'{"a":1}')
    assert not is_genuine(secret, headers, b'{"a":2}')
    assert not is_genuine(new_secret(), headers, b'{"a":1}')
    assert not is_genuine(secret, headers | {"webhook-id": "other"}, b'{"a":1}')
    old = signed_headers("id", now - 600, b"{}", [secret])
    assert not is_genuine(secret, old, b"{}")
