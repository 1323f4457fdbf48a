"""One process of Weir over a storage: the services as bootstrap wires them, with every store behind the injection."""

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from tests.faults.injection import Injection
from tests.faults.storages import Storage
from tests.ledger.memory import Killed
from weir.domain.ids import milliseconds, uuid7
from weir.ledger.archive import Archive
from weir.ledger.ledger import Ledger
from weir.ledger.numbering import Numbering
from weir.ledger.projections import Projections
from weir.ledger.seals import Seals
from weir.ledger.spill import Spill
from weir.runtime.projection import Projection
from weir.services.completeness import Completeness
from weir.services.log import Logs
from weir.services.log_queries import LogQueries
from weir.services.project import Projector
from weir.services.seal import seal_late

WORKSPACE = "main"
INLINE_LIMIT = 300
"""Bytes: what is larger is a blob."""

_OBJECT_MEMBERS = 3

Result = TypeVar("Result")


class Clock:
    """A second later at each look. It goes on when a process dies, and so do the ids."""

    def __init__(self) -> None:
        self._at = datetime(2026, 3, 1, 12, 20, tzinfo=UTC)
        self._numbers = count(1)

    def now(self) -> datetime:
        self._at += timedelta(seconds=1)
        return self._at

    def new_id(self, instant: datetime) -> str:
        return uuid7(milliseconds(instant), next(self._numbers))

    def nonce(self) -> str:
        return str(next(self._numbers))

    def go_on(self, hours: int) -> None:
        self._at += timedelta(hours=hours)


class Process:
    def __init__(self, storage: Storage, injection: Injection, clock: Clock) -> None:
        self._stores = stores = storage.open(injection, clock.now)
        self.spill, self.seals = Spill(stores.blobs), Seals(stores.blobs)
        self.ledger = Ledger(
            stores.records, stores.blobs, INLINE_LIMIT, spill=self.spill, numbering=Numbering(lambda: clock.nonce())
        )
        self.archive = Archive(
            stores.blobs,
            nonce=clock.nonce,
            object_members=_OBJECT_MEMBERS,
            after_put=seal_late(self.seals, clock.now),
        )
        self.projections = Projections(stores.derived, stores.settlement)
        self.logs = Logs(self.ledger, now=clock.now, new_id=clock.new_id)
        self.queries = LogQueries(self.ledger, projections=self.projections, now=clock.now)
        completeness = Completeness(stores.records, self.archive, self.projections, now=clock.now, spill=self.spill)
        letters: Any = None  # what cannot be projected goes where the storage has it
        self.projection = Projection(
            Projector(self.archive, self.projections), completeness, self.projections, stores.feed, letters
        )
        self._runner = asyncio.Runner(loop_factory=_one_thread_beside)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def deliver(self) -> None:
        """Until the feed is empty. Raises LedgerUnavailable."""
        while self._stores.deliver(self.projection):
            pass

    def close(self) -> None:
        """Also of one that was killed: its threads end, and what they still try is refused."""
        with contextlib.suppress(Killed):
            self._runner.close()
        self._stores.close()


def _one_thread_beside() -> asyncio.AbstractEventLoop:
    """So that calls come in the same order in each run."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    loop.set_exception_handler(lambda loop, context: None)  # tasks of a process that was killed
    return loop
