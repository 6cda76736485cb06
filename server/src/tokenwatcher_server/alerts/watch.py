"""Evaluates rules soon after the events that matter, and on a clock.

1. Wait until something is stored, and a moment for more; or until a minute is over.
2. Measure the rules of the touched workspaces in one question to the store.
3. Decide, purely, what has to be told.
4. Write each transition, its history and its deliveries in one transaction.
"""

import asyncio
from collections.abc import Sequence

from tokenwatcher_server.access.workspaces import list_workspaces
from tokenwatcher_server.alerts import rules as stored
from tokenwatcher_server.alerts.alert import alert_of
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.evaluate import Transition, transitions
from tokenwatcher_server.alerts.measure import Asked, Observed, just_ended, observe
from tokenwatcher_server.alerts.outbox import enqueue, forget_old_deliveries
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import HOUR_US, Clock
from tokenwatcher_server.observability.logs import logger

GATHER_SECONDS = 1.0
"""How long touched workspaces are gathered before they are looked at together."""
TICK_SECONDS = 60.0
"""The clock: windows end, and events of other processes arrive, without a touch here."""
MOST_RULES_AT_ONCE = 50


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

    def touched(self, workspace_id: str) -> None:
        """Events of the workspace were stored. Costs next to nothing, for it is said often."""
        if workspace_id not in self._touched:
            self._touched.add(workspace_id)
            self._awake.set()

    async def run(self) -> None:
        """Evaluate for as long as the server runs."""
        while True:
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._awake.wait()
                    await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                touched = None
            else:
                touched = sorted(self._touched)
            self._awake.clear()
            self._touched.clear()
            try:
                await self.evaluate(touched)
                await self._tidy()
            except Exception:  # noqa: BLE001 - the next minute tries again
                logger().exception("alert rules can't be evaluated now; they are tried again")

    async def evaluate(self, workspaces: Sequence[str] | None = None) -> int:
        """Evaluate the rules of some workspaces, or of all; says how many alerts that made."""
        async with self._database.reading() as connection:
            rules = [
                rule for rule in await stored.list_rules(connection, workspaces) if rule.enabled
            ]
        made = 0
        for start in range(0, len(rules), MOST_RULES_AT_ONCE):
            made += await self._evaluate(rules[start : start + MOST_RULES_AT_ONCE])
        if made:
            self._deliveries.nudge()
        return made

    async def _evaluate(self, rules: Sequence[Rule]) -> int:
        now_us = self._clock.now_us()
        asked = [*(Asked(rule, now_us) for rule in rules), *just_ended(rules, now_us)]
        observed = await observe(self._store, asked)
        async with self._database.reading() as connection:
            before = await stored.standings(connection, [rule.id for rule in rules])
        found = [
            (one, transition)
            for one, seen in zip(asked, observed, strict=True)
            if not _is_muted(one.rule, now_us)
            for transition in self._decide(one.rule, seen, before, now_us)
        ]
        return await self._tell(found, now_us) if found else 0

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
        )

    async def _tell(self, found: Sequence[tuple[Asked, Transition]], now_us: int) -> int:
        made = 0
        async with self._database.transaction() as connection:
            workspaces = await list_workspaces(connection)
            names: dict[str, str] = {one.id: one.name for one in workspaces}
            for one, transition in found:
                rule = one.rule
                if await stored.find_rule(connection, rule.id) is None:
                    continue  # it was removed meanwhile
                if not await stored.tell(connection, rule.id, transition, now_us):
                    continue
                alert = alert_of(
                    rule,
                    names[rule.workspace_id],
                    transition.told,
                    rule.level(transition.place.step),
                    transition.value,
                    now_us,
                    subject=transition.place.subject or None,
                    late=one.at_us < now_us,
                )
                await stored.add_to_history(connection, alert)
                await enqueue(connection, alert, rule.channel_ids, now_us)
                made += 1
        return made

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
