"""A server killed under load: everything acknowledged is there, once, and the chain verifies."""

import random
import time
from typing import Any

import pytest

from server.tests.faults.senders import Senders, stored_ids, totals

ROUNDS = 50


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_kills_under_load_lose_and_double_nothing(new_instance: Any) -> None:
    instance = new_instance()
    key, reader = instance.key(), instance.key("--kind", "read")
    acknowledged: dict[str, int] = {}
    unanswered: dict[str, int] = {}
    for _ in range(ROUNDS):
        senders = Senders(lambda: instance.client(key))
        time.sleep(random.uniform(0.05, 0.4))
        instance.kill()
        senders.join()
        acknowledged |= senders.acknowledged
        unanswered |= senders.unanswered
        began = time.monotonic()
        instance.start()
        assert time.monotonic() - began < 10
    with instance.client(reader) as client:
        calls, tokens = totals(client)
        stored = stored_ids(client)
    assert len(stored) == len(set(stored)) == calls
    extra = unanswered.keys() & set(stored)
    missing = acknowledged.keys() - set(stored)
    assert missing == set()
    assert calls == len(acknowledged) + len(extra)
    assert tokens == sum(acknowledged.values()) + sum(unanswered[event_id] for event_id in extra)
    assert instance.cli("store", "verify")["sound"] is True


@pytest.mark.slow
def test_a_stop_under_load_loses_nothing_acknowledged(new_instance: Any) -> None:
    instance = new_instance()
    key, reader = instance.key(), instance.key("--kind", "read")
    senders = Senders(lambda: instance.client(key))
    time.sleep(0.5)
    began = time.monotonic()
    assert instance.stop() == 0
    assert time.monotonic() - began < 5
    senders.join()
    instance.start()
    with instance.client(reader) as client:
        calls, _ = totals(client)
    assert len(senders.acknowledged) <= calls
    assert calls <= len(senders.acknowledged) + len(senders.unanswered)
