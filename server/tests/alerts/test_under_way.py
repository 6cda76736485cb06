"""What is being sent is sent by one, and what happens to it meanwhile is not lost."""

import asyncio
from pathlib import Path

from server.tests.alerts.conftest import Receiver
from server.tests.alerts.sending import Office, Place
from server.tests.alerts.test_deliveries import START, gate_to, try_until_settled
from tokenwatcher_server.alerts.channel_store import delete_channel
from tokenwatcher_server.alerts.outbox import CLAIMED_US, claim, send_again
from tokenwatcher_server.kernel.clock import MICROSECONDS, FrozenClock


def test_what_was_claimed_by_a_process_that_died_is_sent_by_another(
    tmp_path: Path, receiver: Receiver
) -> None:
    async def work() -> None:
        clock = FrozenClock(START)
        async with Office(tmp_path, gate_to(receiver.port), None, clock) as office:
            owed = await office.owe(Place("webhook", receiver.url))
            async with office.database.transaction() as connection:
                assert len(await claim(connection, clock.now_us(), 10)) == 1
            assert await office.deliveries.send_due() == 0
            clock.advance(seconds=CLAIMED_US / MICROSECONDS)
            assert (await try_until_settled(office, clock, owed)).state == "sent"
        assert len(receiver.received) == 1

    asyncio.run(work())


class HeldAnswer:
    """A receiver that answers only when it is told to; gives the port that it listens on."""

    def __init__(self, status: bytes) -> None:
        self.arrived, self.answer = asyncio.Event(), asyncio.Event()
        self._status = status

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.arrived.set()
        await self.answer.wait()
        writer.write(b"HTTP/1.1 " + self._status + b"\r\n\r\n")
        await writer.drain()
        writer.close()


def test_several_that_send_at_once_send_each_alert_once(tmp_path: Path, receiver: Receiver) -> None:
    async def work() -> None:
        clock = FrozenClock(START)
        async with Office(tmp_path, gate_to(receiver.port), None, clock) as office:
            owed = [await office.owe(Place("webhook", receiver.url)) for _ in range(40)]
            others = [office.another() for _ in range(3)]
            await asyncio.gather(*(one.send_due() for one in (office.deliveries, *others)))
            states = [(await office.delivery(one)).state for one in owed]
            assert states == ["sent"] * len(owed)
        assert len(receiver.received) == 40
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 40

    asyncio.run(work())


def test_what_happens_to_a_delivery_under_way_harms_no_other(tmp_path: Path) -> None:
    """One is sent again by hand, the channel of one is removed; a third is beside them."""

    async def work() -> None:
        held = HeldAnswer(b"204 Good")
        async with (
            held as port,
            Office(tmp_path, gate_to(port), None, FrozenClock(START)) as office,
        ):
            place = Place("webhook", f"http://127.0.0.1:{port}/")
            again, removed, beside = [await office.owe(place) for _ in range(3)]
            sending = asyncio.create_task(office.deliveries.send_due())
            await held.arrived.wait()
            async with office.database.transaction() as connection:
                await send_again(connection, again, office.clock.now_us())
                await delete_channel(connection, (await office.delivery(removed)).channel_id)
            second = asyncio.create_task(office.another().send_due())
            await asyncio.sleep(0.1)
            held.answer.set()
            assert (await sending, await second) == (3, 1)
            assert [(await office.delivery(one)).state for one in (again, beside)] == ["sent"] * 2
            assert [one.number for one in await office.attempts(again)] == [1, 2]
            assert [one.number for one in await office.attempts(beside)] == [1]

    asyncio.run(work())


def test_sending_again_is_not_undone_by_an_attempt_that_fails_meanwhile(tmp_path: Path) -> None:
    async def work() -> None:
        held = HeldAnswer(b"302 Elsewhere")
        async with (
            held as port,
            Office(tmp_path, gate_to(port), None, FrozenClock(START)) as office,
        ):
            owed = await office.owe(Place("webhook", f"http://127.0.0.1:{port}/"))
            sending = asyncio.create_task(office.deliveries.send_due())
            await held.arrived.wait()
            async with office.database.transaction() as connection:
                await send_again(connection, owed, office.clock.now_us())
            held.answer.set()
            await sending
            found = await office.delivery(owed)
            assert (found.state, found.attempts, found.next_attempt_at) == ("pending", 1, START)

    asyncio.run(work())
