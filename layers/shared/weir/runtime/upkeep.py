"""What is done on a schedule: what was put aside is put back, the archive is sealed, what has expired is deleted."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from weir.domain.errors import LedgerUnavailable
from weir.domain.retention import FOR_EVER, Retention
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Broken
from weir.ledger.ledger import Ledger
from weir.ledger.seals import Seals
from weir.runtime.bootstrap import now, open_archive
from weir.services.put_back import put_back
from weir.services.seal import seal_recent
from weir.services.sweep import Swept, sweep

EVERY_S = 60.0
"""On one machine, where a look costs nothing; on AWS the schedule is in template.yaml."""

logger = logging.getLogger("weir.upkeep")


class Upkeep:
    def __init__(self, ledger: Ledger, retention: Retention = FOR_EVER, *, now: Callable[[], datetime] = now) -> None:
        self._ledger = ledger
        self._archive: Archive = open_archive(ledger.blobs)
        self._seals = Seals(ledger.blobs)
        self._retention, self._now = retention, now

    async def run(self, seconds: float) -> None:
        """Once; what takes longer goes on the next time. What one task cannot do keeps no other from being done."""
        end = time.monotonic() + seconds
        try:
            back = await put_back(self._ledger, self._archive, go_on=lambda: time.monotonic() < end)
            if back.stored or back.erased or back.refusal:
                logger.warning("put back", extra=asdict(back))
        except (LedgerUnavailable, Broken):
            logger.exception("nothing could be put back")
        try:
            await asyncio.to_thread(self._seal, end)
        except (LedgerUnavailable, Broken):
            logger.exception("the archive could not be sealed")

        try:
            await asyncio.to_thread(self._sweep, end)
        except LedgerUnavailable:
            logger.exception("what has expired could not be deleted")

    def waiting(self) -> int:
        """Records that are put aside still. Raises LedgerUnavailable."""
        return 0 if self._ledger.spill is None else self._ledger.spill.backlog().count

    async def run_for_ever(self) -> None:
        while True:
            await self.run(EVERY_S)
            await asyncio.sleep(EVERY_S)

    def _sweep(self, end: float) -> None:
        swept = sweep(self._ledger, self._retention, self._now(), go_on=lambda: time.monotonic() < end)
        if swept != Swept():
            logger.info("expired", extra=asdict(swept))

    def _seal(self, end: float) -> None:
        for workspace in self._archive.workspaces():
            if time.monotonic() >= end:
                return
            seal_recent(self._archive, self._seals, workspace, self._now())
