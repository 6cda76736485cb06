"""Signing in by password, slowed down for those who guess.

Five wrong passwords for an account from one address make that pair wait, longer each time; an
address may try twenty times a minute whatever the account. Others are never locked out.
"""

from collections import OrderedDict, deque
from ipaddress import IPv4Address, ip_address, ip_network

from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.sessions import Session, begin_session
from tokenwatcher_server.access.users import LONGEST_USERNAME, find_user
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.observability.logs import logger

FREE_FAILURES = 5
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 900
ATTEMPTS_A_MINUTE = 20
MOST_REMEMBERED = 10_000
MINUTE_US = 60 * MICROSECONDS


class Throttle:
    """Remembers failures and attempts, bounded: the oldest are forgotten first."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._attempts: OrderedDict[str, deque[int]] = OrderedDict()

    def check(self, account: str, address: str, now_us: int) -> None:
        """Count an attempt; raises AppError (429) where it comes too soon."""
        attempts = self._attempts.setdefault(address, deque())
        self._attempts.move_to_end(address)
        while attempts and attempts[0] <= now_us - MINUTE_US:
            attempts.popleft()
        if len(attempts) >= ATTEMPTS_A_MINUTE:
            raise _too_many(attempts[0] + MINUTE_US - now_us)
        failures, until_us = self._failures.get((account, address), (0, 0))
        if failures >= FREE_FAILURES and now_us < until_us:
            raise _too_many(until_us - now_us)
        attempts.append(now_us)
        _bound(self._attempts)

    def failed(self, account: str, address: str, now_us: int) -> None:
        failures = self._failures.get((account, address), (0, 0))[0] + 1
        doublings = max(0, failures - FREE_FAILURES)
        wait = min(FIRST_WAIT_SECONDS << min(doublings, 10), LONGEST_WAIT_SECONDS)
        self._failures[account, address] = (failures, now_us + wait * MICROSECONDS)
        self._failures.move_to_end((account, address))
        _bound(self._failures)

    def succeeded(self, account: str, address: str) -> None:
        self._failures.pop((account, address), None)


def _bound(
    memory: OrderedDict[str, deque[int]] | OrderedDict[tuple[str, str], tuple[int, int]],
) -> None:
    while len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)


def _too_many(wait_us: int) -> AppError:
    seconds = max(1, -(-wait_us // MICROSECONDS))
    return AppError(
        Kind.RATE_LIMITED,
        "TOO_MANY_ATTEMPTS",
        f"Too many attempts; try again in {seconds} seconds.",
        retry_after=seconds,
    )


class Login:
    def __init__(self, database: Database, passwords: Passwords, clock: Clock) -> None:
        self._database = database
        self._passwords = passwords
        self._clock = clock
        self._throttle = Throttle()

    async def sign_in(
        self, username: str, password: str, address: str, *, instead_of: str | None = None
    ) -> Session | None:
        """A new session, or None for a wrong name or password, in the same time for both.

        Ends the session `instead_of`, which the client came with. Raises AppError (429) for
        those who try too often; then no password is hashed.
        """
        now_us = self._clock.now_us()
        account, place = username[:LONGEST_USERNAME], _place(address)
        self._throttle.check(account, place, now_us)
        async with self._database.reading() as connection:
            found = await find_user(connection, account)
        known_hash = found[1] if found else None
        if not await self._passwords.matches(password, known_hash) or found is None:
            self._throttle.failed(account, place, now_us)
            # not the name: people type their password in its place
            logger().warning("a sign-in failed", address=address)
            return None
        user = found[0]
        self._throttle.succeeded(account, place)
        async with self._database.transaction() as connection:
            session = await begin_session(connection, user, now_us, instead_of=instead_of)
        logger().info("signed in", user_id=user.id, address=address)
        return session


def _place(address: str) -> str:
    """What counts as one address: for IPv6 the network of 64 bits that one subscriber has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ip_network((parsed, 64), strict=False))
