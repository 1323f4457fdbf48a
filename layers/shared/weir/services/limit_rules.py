"""The limits of a workspace: read at most once in ten seconds, never by two at once, and edited."""

import asyncio
import functools
import logging
import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from weir.domain.errors import LedgerUnavailable
from weir.domain.limit import Limit, Measure, Rules, Subject
from weir.ledger.limit_rules import LimitRules, one

logger = logging.getLogger("weir.limits")

MAX_AGE_S = 10.0
"""How long a change may take to hold in a process that did not make it."""

UNREAD_FOR_S = 1.0
"""For so long nobody asks a ledger that has refused, where nothing is known yet: an outage does not hold up calls."""

_CACHED = 10_000


class _Known(NamedTuple):
    until: float
    rules: Rules


class LimitBook:
    """Used from one event loop. `clock` gives seconds for measuring ages."""

    def __init__(self, limits: LimitRules, *, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._limits = limits
        self._now, self._clock = now, clock
        self._known: dict[str, _Known] = {}
        self._reading: dict[str, asyncio.Future[Rules]] = {}
        self._edits = 0
        self._unread_until = -math.inf

    async def rules(self, workspace: str) -> Rules:
        """When the ledger refuses, what held before still holds; raises LedgerUnavailable if nothing is known."""
        known = self._known.get(workspace)
        if known is not None and self._clock() < known.until:
            return known.rules
        if known is None and self._clock() < self._unread_until:
            raise LedgerUnavailable("The limits could not be read a moment ago.")
        reading = self._reading.get(workspace)
        if reading is None:
            reading = self._reading[workspace] = asyncio.ensure_future(self._read(workspace))
            reading.add_done_callback(functools.partial(self._settle, workspace))
        return await asyncio.shield(reading)  # who hangs up does not take the answer from the others

    async def all(self, workspace: str) -> tuple[Limit, ...]:
        return await asyncio.to_thread(self._limits.all, workspace)

    async def one(self, workspace: str, id: int) -> Limit:
        """Raises NotFound; so do the two below."""
        return one(await self.all(workspace), id)

    async def add(
        self, workspace: str, subject: Subject, measure: Measure, most: Decimal | None, warn_at: Decimal | None
    ) -> Limit:
        """Raises Conflict when there is one already."""
        added = await asyncio.to_thread(
            lambda: self._limits.add(workspace, subject, measure, most=most, warn_at=warn_at, at=self._now())
        )
        self.forget(workspace)
        return added

    async def change(self, workspace: str, id: int, change: Callable[[Limit], Limit]) -> Limit:
        changed = await asyncio.to_thread(self._limits.change, workspace, id, change)
        self.forget(workspace)
        return changed

    async def remove(self, workspace: str, id: int) -> None:
        await asyncio.to_thread(self._limits.remove, workspace, id)
        self.forget(workspace)

    async def _read(self, workspace: str) -> Rules:
        asked_at, edits = self._clock(), self._edits  # what is set while the answer is on its way is not in it
        try:
            rules = Rules(await asyncio.to_thread(self._limits.all, workspace))
        except LedgerUnavailable:
            known = self._known.get(workspace)
            if known is None:
                self._unread_until = self._clock() + UNREAD_FOR_S
                raise
            logger.exception("limits not read", extra={"workspace": workspace})
            rules = known.rules
        if edits == self._edits:
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[workspace] = _Known(asked_at + MAX_AGE_S, rules)
        return rules

    def forget(self, workspace: str) -> None:
        """What this process has changed itself holds at once."""
        self._edits += 1
        self._known.pop(workspace, None)
        self._reading.pop(workspace, None)

    def _settle(self, workspace: str, reading: "asyncio.Future[Rules]") -> None:
        if self._reading.get(workspace) is reading:
            del self._reading[workspace]
        if not reading.cancelled():
            reading.exception()  # everybody may have hung up, and asyncio wants it looked at
