"""Sends what is owed: claimed, sent, and only then marked as sent.

1. Claim what is due, in a transaction of its own.
2. Send each through the gate, many at once, so that dead receivers hold up nobody.
3. Note the attempt; where it failed, when to try again, for a day.
"""

import asyncio
import random
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from tokenwatcher_server.alerts import outbox
from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channel_store import open_channel, switch_channel
from tokenwatcher_server.alerts.channels import KINDS
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.outbox import Attempt, Delivery
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock, to_us
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.observability.logs import logger
from tokenwatcher_server.outbound.errors import NotSent
from tokenwatcher_server.outbound.gate import Answer, Gate
from tokenwatcher_server.outbound.mail import Letter, Mail

MOST_AT_ONCE = 400
"""Enough that a thousand receivers that never answer hold up the next for a quarter of a minute."""
WAITS = (5, 30, 120, 600, 1_800, 7_200, 21_600, 57_600)
"""Seconds between attempts: nine of them, over a day."""
JITTER = 0.1
LONGEST_SLEEP_SECONDS = 5.0
LONGEST_ASKED_SECONDS = 3_600
GONE = 410
"""A receiver that answers this wants nothing more: its channel is turned off."""


class Deliveries:
    """The task that sends. Any number of processes may run one on the same database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        gate: Gate,
        mail: Mail | None,
        seal: Seal,
        page: str | None,
    ) -> None:
        self._database, self._clock = database, clock
        self._gate, self._mail = gate, mail
        self._seal, self._page = seal, page
        self._owed = asyncio.Event()

    def nudge(self) -> None:
        """Something may be owed now."""
        self._owed.set()

    async def run(self) -> None:
        """Send for as long as the server runs."""
        while True:
            try:
                while await self.send_due():
                    pass
            except Exception:  # noqa: BLE001 - what is owed stays owed, and is tried again
                logger().exception("alerts can't be delivered now")
            self._owed.clear()
            try:
                await asyncio.wait_for(self._owed.wait(), LONGEST_SLEEP_SECONDS)
            except TimeoutError:
                continue

    async def send_due(self) -> int:
        """Try everything that is due once; says how much that was."""
        async with self._database.reading() as connection:
            due = await outbox.next_due(connection)
        if due is None or due > self._clock.now_us():
            return 0
        async with self._database.transaction() as connection:
            claimed = await outbox.claim(connection, self._clock.now_us(), MOST_AT_ONCE)
        ends = await asyncio.gather(*map(self._deliver, claimed), return_exceptions=True)
        for fault in filter(None, ends):  # its claim ends soon, and it is tried again
            logger().error("an alert's delivery could not be noted", exc_info=fault)
        return len(claimed)

    async def _deliver(self, delivery: Delivery) -> None:
        number = delivery.attempts + 1
        answer: Answer | None = None
        error: str | None = None
        again_at = self._next_attempt(number)
        try:
            async with self._database.reading() as connection:
                channel = await open_channel(
                    connection,
                    self._seal,
                    delivery.channel_id,
                    self._page,
                    self._clock.now_us(),
                )
            if channel is None:
                error, again_at = "The channel is off.", None
            else:
                answer = await self._send(delivery, channel)
                error = _complaint(answer.status)
                again_at = self._not_before(again_at, answer)
        except NotSent as failed:
            logger().info("an alert was not delivered", reason=failed.reason)
            error = str(failed)
        except AppError as failed:
            if failed.kind is Kind.UNAVAILABLE:
                raise
            error, again_at = failed.message, None
        except Exception:  # noqa: BLE001 - a fault of ours is an attempt like any other
            logger().exception("an alert was not delivered")
            error = "This server failed to send it."
        attempt = Attempt(
            number,
            self._clock.now_us(),
            None if answer is None else answer.status,
            None if answer is None else answer.latency_ms,
            error,
        )
        async with self._database.transaction() as connection:
            if answer is not None and answer.status == GONE:
                await switch_channel(connection, delivery.channel_id, on=False)
            await outbox.settle(connection, delivery, attempt, again_at=again_at)

    async def _send(self, delivery: Delivery, channel: Channel) -> Answer:
        seconds = self._clock.now_us() // MICROSECONDS
        leading = msgspec.structs.replace(channel, page=_page(channel, delivery.alert))
        message = KINDS[channel.kind](delivery.alert, leading, seconds)
        if isinstance(message, Letter):
            if self._mail is None:
                raise NotSent("This server has no mail server.", "SMTP_HOST is not set")
            return await self._mail.send(message)
        return await self._gate.send(
            "POST", channel.url, headers=message.headers, body=message.body
        )

    def _not_before(self, again_at: int | None, answer: Answer) -> int | None:
        """When to try again after an answer; it may ask for patience, up to an hour of it."""
        now_us = self._clock.now_us()
        asked_us = _asked(answer.headers.get("retry-after", ""), now_us)
        if answer.status == GONE or answer.status < 400:  # good, gone, or leading elsewhere
            return None
        if again_at is None or asked_us is None:
            return again_at
        return max(again_at, min(asked_us, now_us + LONGEST_ASKED_SECONDS * MICROSECONDS))

    def _next_attempt(self, number: int) -> int | None:
        if number > len(WAITS):
            return None
        seconds = WAITS[number - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        return self._clock.now_us() + round(seconds * MICROSECONDS)


def _page(channel: Channel, alert: Alert) -> str | None:
    """Where people read on: the rule's own page; a channel's test has no rule behind it."""
    if channel.page is None or alert.rule_id == channel.id:
        return channel.page
    return f"{channel.page}/{alert.rule_id}"


def _complaint(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    leads_elsewhere = ": redirects are not followed" if 300 <= status < 400 else ""
    return f"The receiver answered {status}{leads_elsewhere}."


def _asked(retry_after: str, now_us: int) -> int | None:
    """The instant that a Retry-After names: in seconds from now, or as a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return now_us + int(retry_after[:9]) * MICROSECONDS
    try:
        named = parsedate_to_datetime(retry_after)
        return to_us(named if named.tzinfo else named.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
