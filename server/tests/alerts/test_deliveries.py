"""What is owed is tried for a day, is given up loudly, and holds up nobody."""

import asyncio
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from server.tests.alerts.conftest import Receiver
from server.tests.alerts.sending import Office, Place
from tokenwatcher_server.alerts import deliveries
from tokenwatcher_server.alerts.channels import KINDS
from tokenwatcher_server.alerts.channels.channel import Message
from tokenwatcher_server.alerts.deliveries import WAITS
from tokenwatcher_server.alerts.outbox import Delivery, send_again
from tokenwatcher_server.kernel.clock import MICROSECONDS, FrozenClock, SystemClock
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.policy import Policy

HOUR = 3_600
START = 1_800_000_000_000_000
DEAD = 1_000


def gate_to(port: int, timeout_seconds: float = 5.0) -> Gate:
    policy = Policy(
        plain_http=True,
        allowed_networks=(ip_network("127.0.0.1/32"),),
        allowed_ports=frozenset({port}),
    )
    return Gate(policy, timeout_seconds=timeout_seconds)


async def try_until_settled(office: Office, clock: FrozenClock, owed: str) -> Delivery:
    """Let time pass, from one attempt to the next, until it is sent or given up."""
    for _ in range(20):
        await office.deliveries.send_due()
        found = await office.delivery(owed)
        if found.state != "pending":
            return found
        clock.advance(seconds=(found.next_attempt_at - clock.now_us()) / MICROSECONDS)
    raise AssertionError("it is tried for ever")


def test_a_receiver_that_was_down_for_a_day_gets_it_in_the_end(
    tmp_path: Path, receiver: Receiver
) -> None:
    async def work() -> None:
        clock = FrozenClock(START)
        receiver.statuses = [503] * len(WAITS)
        async with Office(tmp_path, gate_to(receiver.port), None, clock) as office:
            owed = await office.owe(Place("webhook", receiver.url))
            found = await try_until_settled(office, clock, owed)
            assert (found.state, found.attempts) == ("sent", len(WAITS) + 1)
            assert clock.now_us() - START >= 0.9 * 24 * HOUR * MICROSECONDS
            attempts = await office.attempts(owed)
            assert [one.status for one in attempts] == [503] * len(WAITS) + [200]
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1

    asyncio.run(work())


def test_what_is_given_up_stays_and_is_sent_again_when_a_person_says_so(
    tmp_path: Path, receiver: Receiver
) -> None:
    async def work() -> None:
        clock = FrozenClock(START)
        receiver.statuses = [500] * (len(WAITS) + 1)
        async with Office(tmp_path, gate_to(receiver.port), None, clock) as office:
            owed = await office.owe(Place("webhook", receiver.url))
            found = await try_until_settled(office, clock, owed)
            assert (found.state, found.attempts) == ("dead", len(WAITS) + 1)
            clock.advance(seconds=7 * 24 * HOUR)
            assert await office.deliveries.send_due() == 0
            async with office.database.transaction() as connection:
                await send_again(connection, owed, clock.now_us())
            assert (await try_until_settled(office, clock, owed)).state == "sent"

    asyncio.run(work())


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "sent"), (204, "sent"), (302, "dead"), (308, "dead"), (404, "pending"), (500, "pending"),
     (410, "dead")],
)  # fmt: skip
def test_an_answer_settles_it_or_not(
    tmp_path: Path, receiver: Receiver, status: int, state: str
) -> None:
    async def work() -> None:
        receiver.statuses = [status]
        async with Office(tmp_path, gate_to(receiver.port), None, FrozenClock(START)) as office:
            owed = await office.owe(Place("webhook", receiver.url))
            assert await office.deliveries.send_due() == 1
            assert (await office.delivery(owed)).state == state
            [attempt] = await office.attempts(owed)
            assert attempt.status == status

    asyncio.run(work())


@pytest.mark.parametrize("how", ["reset", "silent", "closed"])
def test_a_receiver_that_gives_no_answer_is_tried_again(tmp_path: Path, how: str) -> None:
    """It hangs up in the middle, says nothing, or is not there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if how == "silent":
            await reader.read()
        writer.transport.abort()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if how == "closed":
            server.close()
        gate, clock = gate_to(port, timeout_seconds=0.3), FrozenClock(START)
        async with Office(tmp_path, gate, None, clock) as office, server:
            owed = await office.owe(Place("webhook", f"http://127.0.0.1:{port}/"))
            await office.deliveries.send_due()
            found = await office.delivery(owed)
            assert (found.state, found.attempts) == ("pending", 1)
            [attempt] = await office.attempts(owed)
            assert (attempt.status, attempt.latency_ms) == (None, None)
            assert attempt.error in {
                "The server could not be reached.", "The server took too long."
            }  # fmt: skip

    asyncio.run(work())


def test_a_fault_of_ours_is_an_attempt_like_any_other(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Message:
        raise LookupError("a bug")

    async def work() -> None:
        clock = FrozenClock(START)
        async with Office(tmp_path, gate_to(receiver.port), None, clock) as office:
            monkeypatch.setattr(deliveries, "KINDS", {**KINDS, "slack": broken})
            bad = await office.owe(Place("slack", receiver.url))
            good = await office.owe(Place("webhook", receiver.url))
            await office.deliveries.send_due()
            assert [(await office.delivery(one)).state for one in (bad, good)] == [
                "pending",
                "sent",
            ]
            [attempt] = await office.attempts(bad)
            assert attempt.error == "This server failed to send it."

    asyncio.run(work())


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("90", 90),
        ("Fri, 15 Jan 2027 08:01:30 GMT", 90),
        ("999999999", HOUR),
        ("Fri, 15 Jan 2100 08:00:00 GMT", HOUR),
        ("Fri, 15 Jan 2020 08:00:00 GMT", 5),
        ("1", 5),
        ("soon", 5),
        ("-5", 5),
    ],
)
def test_patience_is_asked_for_in_seconds_or_as_a_date_and_has_an_end(
    tmp_path: Path, receiver: Receiver, asked: str, waited: int
) -> None:
    async def work() -> float:
        receiver.statuses, receiver.retry_after = [429], asked
        async with Office(tmp_path, gate_to(receiver.port), None, FrozenClock(START)) as office:
            owed = await office.owe(Place("webhook", receiver.url))
            await office.deliveries.send_due()
            return ((await office.delivery(owed)).next_attempt_at - START) / MICROSECONDS

    assert abs(asyncio.run(work()) - waited) <= 0.5


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=4 * DEAD)
    yield listening.getsockname()[1]
    listening.close()


@pytest.mark.slow
def test_a_thousand_dead_receivers_hold_up_nobody_for_long(
    tmp_path: Path, receiver: Receiver, silent: int
) -> None:
    async def work() -> None:
        policy = Policy(
            plain_http=True,
            allowed_networks=(ip_network("127.0.0.1/32"),),
            allowed_ports=frozenset({silent, receiver.port}),
        )
        async with Office(tmp_path, Gate(policy), None, SystemClock()) as office:
            for _ in range(DEAD):
                await office.owe(Place("webhook", f"http://127.0.0.1:{silent}/"))
            healthy = await office.owe(Place("webhook", receiver.url))
            began = time.monotonic()
            sending = asyncio.create_task(office.deliveries.run())
            while (await office.delivery(healthy)).state != "sent":
                assert time.monotonic() - began < 30
                await asyncio.sleep(0.1)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(work())
