"""Evaluates rules soon after the events that matter, and on a clock.

1. Wait until something is stored, and a moment for more; or until a minute is over.
2. Read what was told last, then measure the rules of the touched workspaces in one question to
   the store: an older measurement must not judge what a newer one told.
3. Decide, purely, what has to be told.
4. Write each transition, its history and its deliveries in one transaction.
"""

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.workspaces import list_workspaces
from tokenwatcher_server.alerts import rules as stored
from tokenwatcher_server.alerts.alert import alert_of
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.evaluate import Told, Transition, transitions
from tokenwatcher_server.alerts.measure import Asked, Observed, just_ended, observe
from tokenwatcher_server.alerts.outbox import enqueue, forget_old_deliveries
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.lease import Lease
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import HOUR_US, Clock
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.observability.logs import logger

GATHER_SECONDS = 1.0
"""How long touched workspaces are gathered before they are looked at together."""
TICK_SECONDS = 60.0
"""The clock: windows end, and events of other processes arrive, without a touch here. It goes on
however much is touched meanwhile."""
REST = 9
"""Where evaluating takes long, what is touched is gathered so many times as long: looking at rules
takes a tenth of one process at most."""
MOST_RULES_AT_ONCE = 50
MOST_APART = 10
"""So many users or tag values that pass a step at once are told of one by one, those with most
first; how many more there are is said with the last."""


class Watch:
    """The task that evaluates. Any number of processes may run one on the same database."""

    def __init__(
        self,
        database: Database,
        store: EventStore,
        clock: Clock,
        deliveries: Deliveries,
        cooldown_seconds: int,
    ) -> None:
        self._database, self._store, self._clock = database, store, clock
        self._deliveries = deliveries
        self._cooldown_seconds = cooldown_seconds
        self._touched: set[str] = set()
        self._awake = asyncio.Event()
        self._tidied_at = 0
        self._lease = Lease(database, clock, "alerts", TICK_SECONDS)

    def touched(self, workspace_id: str) -> None:
        """Events of the workspace were stored. Costs next to nothing, for it is said often."""
        if workspace_id not in self._touched:
            self._touched.add(workspace_id)
            self._awake.set()

    async def run(self) -> None:
        """Evaluate for as long as the server runs."""
        all_at = time.monotonic() + TICK_SECONDS
        gather_seconds = GATHER_SECONDS
        while True:
            try:
                async with asyncio.timeout(max(0, all_at - time.monotonic())):
                    await self._awake.wait()
                    await asyncio.sleep(gather_seconds)
            except TimeoutError:
                all_at = time.monotonic() + TICK_SECONDS
                touched = await self._on_the_clock()
            else:
                touched = sorted(self._touched)
            self._awake.clear()
            self._touched.clear()
            began = time.monotonic()
            try:
                await self.evaluate(touched)
                await self._tidy()
            except Exception:  # noqa: BLE001 - the next minute tries again
                logger().exception("alert rules can't be evaluated now; they are tried again")
            gather_seconds = max(GATHER_SECONDS, REST * (time.monotonic() - began))

    async def _on_the_clock(self) -> list[str] | None:
        """All workspaces (None), unless another server looks at them, or that can't be known."""
        try:
            return None if await self._lease.held() else sorted(self._touched)
        except AppError:
            return None

    async def evaluate(self, workspaces: Sequence[str] | None = None) -> int:
        """Evaluate the rules of some workspaces, or of all; says how many alerts that made."""
        async with self._database.reading() as connection:
            rules = [
                rule for rule in await stored.list_rules(connection, workspaces) if rule.enabled
            ]
        made = 0
        for start in range(0, len(rules), MOST_RULES_AT_ONCE):
            made += await self._evaluate_apart(rules[start : start + MOST_RULES_AT_ONCE])
        if made:
            self._deliveries.nudge()
        return made

    async def _evaluate_apart(self, rules: Sequence[Rule]) -> int:
        """Evaluate rules together, or where that fails one by one: one must not silence all."""
        try:
            return await self._evaluate(rules)
        except Exception:  # noqa: BLE001 - whatever it is, the others are looked at
            if len(rules) == 1:
                logger().exception("an alert rule can't be evaluated now", rule=rules[0].id)
                return 0
        return sum([await self._evaluate_apart([rule]) for rule in rules])

    async def _evaluate(self, rules: Sequence[Rule]) -> int:
        now_us = self._clock.now_us()
        async with self._database.reading() as connection:
            before = await stored.standings(connection, [rule.id for rule in rules])
        asked = [*(Asked(rule, now_us) for rule in rules), *just_ended(rules, now_us)]
        observed = await observe(self._store, asked)
        found = [
            (one, transition)
            for one, seen in zip(asked, observed, strict=True)
            if not _is_muted(one.rule, now_us)
            for transition in self._decide(one.rule, seen, before, now_us)
        ]
        return await self._tell(found, before, now_us) if found else 0

    def _decide(
        self, rule: Rule, seen: Observed, before: stored.Standings, now_us: int
    ) -> list[Transition]:
        return transitions(
            rule,
            seen.window_start,
            seen.values,
            before[rule.id],
            now_us=now_us,
            cooldown_seconds=self._cooldown_seconds,
            complete=seen.complete,
        )

    async def _tell(
        self, found: Sequence[tuple[Asked, Transition]], before: stored.Standings, now_us: int
    ) -> int:
        told: dict[tuple[Asked, int, Told], list[Transition]] = {}
        async with self._database.transaction() as connection:
            for one, transition in found:
                if await stored.find_rule(connection, one.rule.id) is None:
                    continue  # it was removed meanwhile
                last = before[one.rule.id].get(transition.place)
                if await stored.tell(connection, one.rule.id, transition, last, now_us):
                    key = (one, transition.place.step, transition.told)
                    told.setdefault(key, []).append(transition)
            names = {one.id: one.name for one in await list_workspaces(connection)}
            for (one, *_), together in told.items():
                name = names[WorkspaceId(one.rule.workspace_id)]
                await _write_down(connection, one, name, together, now_us)
        return sum(map(len, told.values()))

    async def _tidy(self) -> None:
        now_us = self._clock.now_us()
        if abs(now_us - self._tidied_at) < HOUR_US:
            return
        self._tidied_at = now_us
        async with self._database.transaction() as connection:
            await stored.forget_old_standings(connection, now_us)
            await forget_old_deliveries(connection, now_us)


def _is_muted(rule: Rule, now_us: int) -> bool:
    return rule.muted_until is not None and now_us < rule.muted_until


async def _write_down(
    connection: AsyncConnection,
    one: Asked,
    workspace_name: str,
    together: Sequence[Transition],
    now_us: int,
) -> None:
    """The alerts of what passed one step at once, and their deliveries, those with most first."""
    rule = one.rule
    for number, transition in enumerate(sorted(together, key=lambda each: -each.value), 1):
        alert = alert_of(
            rule,
            workspace_name,
            transition.told,
            rule.level(transition.place.step),
            transition.value,
            now_us,
            subject=transition.place.subject or None,
            late=one.at_us < now_us,
            window_start=transition.place.window_start,
            others=len(together) - number if number == MOST_APART else 0,
        )
        await stored.add_to_history(connection, alert)
        if number <= MOST_APART:
            await enqueue(connection, alert, rule.channel_ids, now_us)
