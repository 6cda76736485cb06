"""Slows down those who guess passwords, and nobody else.

Five wrong passwords for an account from one address make that pair wait, longer each time; so do
twenty from one address, whatever the accounts. Failures are kept in the control database: a
restart helps nobody, and all processes know them. In memory, an address may try twenty times a
minute, so that a flood costs neither a query nor a hash.
"""

from collections import OrderedDict, deque
from hashlib import sha256
from ipaddress import IPv4Address, ip_address, ip_network

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.tables import sign_in_failures
from tokenwatcher_server.kernel.clock import MICROSECONDS
from tokenwatcher_server.kernel.errors import AppError, Kind

FIRST_WAIT_SECONDS = 2
FORGOTTEN_AFTER_US = 3_600 * MICROSECONDS
ATTEMPTS_A_MINUTE = 20
MOST_REMEMBERED = 10_000
MINUTE_US = 60 * MICROSECONDS


class _Rule(msgspec.Struct, frozen=True):
    """How many failures are free, and the longest wait in seconds after one more."""

    free: int
    longest_wait: int


PAIR = _Rule(free=5, longest_wait=900)
ADDRESS = _Rule(free=20, longest_wait=60)  # short: many honest people may share an address


class Attempts:
    """Counts attempts by address in the last minute; bounded, the oldest are forgotten first."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, deque[int]] = OrderedDict()

    def count(self, place: str, now_us: int) -> None:
        """Count one more; raises AppError (429) where it comes too soon."""
        attempts = self._attempts.setdefault(place, deque())
        self._attempts.move_to_end(place)
        while attempts and attempts[0] <= now_us - MINUTE_US:
            attempts.popleft()
        if len(attempts) >= ATTEMPTS_A_MINUTE:
            raise _too_many(attempts[0] + MINUTE_US - now_us)
        attempts.append(now_us)
        while len(self._attempts) > MOST_REMEMBERED:
            self._attempts.popitem(last=False)


async def check_wait(connection: AsyncConnection, account: str, place: str, now_us: int) -> None:
    """Raise AppError (429) while this pair, or this address, has to wait."""
    hashes = [digest for digest, _ in _rules(account, place)]
    query = select(sign_in_failures.c.waits_until).where(
        sign_in_failures.c.hash.in_(hashes), sign_in_failures.c.waits_until > now_us
    )
    waits = (await connection.execute(query)).scalars().all()
    if waits:
        raise _too_many(max(waits) - now_us)


async def note_failure(connection: AsyncConnection, account: str, place: str, now_us: int) -> None:
    """Count a wrong password. Failures are forgotten an hour after the last of them."""
    table = sign_in_failures
    forgotten = table.c.waits_until <= now_us - FORGOTTEN_AFTER_US
    await connection.execute(delete(table).where(forgotten))
    for digest, rule in _rules(account, place):
        query = select(table.c.failures).where(table.c.hash == digest)
        before = (await connection.execute(query)).scalar()
        failures = (before or 0) + 1
        values = {"failures": failures, "waits_until": now_us + _wait_us(rule, failures)}
        await connection.execute(
            insert(table).values(hash=digest, **values)
            if before is None
            else update(table).where(table.c.hash == digest).values(values)
        )


async def forgive(connection: AsyncConnection, account: str, place: str) -> None:
    """The right password: the pair starts anew. The address doesn't, as one account may be its own."""
    digest = _digest(account, place)
    await connection.execute(delete(sign_in_failures).where(sign_in_failures.c.hash == digest))


def place_of(address: str) -> str:
    """What counts as one address: for IPv6 the network of 64 bits that one subscriber has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ip_network((parsed, 64), strict=False))


def _rules(account: str, place: str) -> tuple[tuple[bytes, _Rule], ...]:
    return (_digest(account, place), PAIR), (_digest("", place), ADDRESS)


def _digest(account: str, place: str) -> bytes:
    return sha256(f"{place}\0{account}".encode("utf-8", "surrogatepass")).digest()


def _wait_us(rule: _Rule, failures: int) -> int:
    """Nothing for the free ones, then two seconds, four, eight, up to the longest."""
    if failures < rule.free:
        return 0
    doublings = min(failures - rule.free, 10)
    return min(FIRST_WAIT_SECONDS << doublings, rule.longest_wait) * MICROSECONDS


def _too_many(wait_us: int) -> AppError:
    seconds = max(1, -(-wait_us // MICROSECONDS))
    return AppError(
        Kind.RATE_LIMITED,
        "TOO_MANY_ATTEMPTS",
        f"Too many attempts; try again in {seconds} seconds.",
        retry_after=seconds,
    )
