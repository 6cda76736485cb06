"""Which of several servers does what needs to be done by one alone, from time to time.

Kept in a row, not in a lock of a connection: behind PgBouncer no connection is a server's own.
"""

from typing import Final

from sqlalchemy import insert, select, update

from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import leases
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock
from tokenwatcher_server.kernel.ids import new_id

ROUNDS: Final = 1.5
"""A lease outlasts the next round, so that whoever has it keeps it, and not many."""


class Lease:
    """One server's claim to a piece of work that comes round every `every_seconds`.

    What is done under it must bear being done twice: a server that slept may wake up with a lease
    that another has by now.
    """

    def __init__(self, database: Database, clock: Clock, name: str, every_seconds: float) -> None:
        self._database, self._clock, self._name = database, clock, name
        self._holder = new_id()
        self._lasts_us = int(every_seconds * ROUNDS * MICROSECONDS)

    async def held(self) -> bool:
        """Take or keep the lease; False where another server has it. Raises AppError (503)."""
        now_us = self._clock.now_us()
        mine = {"holder": self._holder, "until": now_us + self._lasts_us}
        row = leases.c.name == self._name
        async with self._database.transaction() as connection:
            found = (await connection.execute(select(leases).where(row))).one_or_none()
            if found is None:
                await connection.execute(insert(leases).values(name=self._name, **mine))
                return True
            if found.holder != self._holder and found.until > now_us:
                return False
            await connection.execute(update(leases).where(row).values(**mine))
            return True
