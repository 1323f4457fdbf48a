"""Records for the developer API: pages of them, the latest of them, one with what was said."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from weir.domain.errors import NotFound, RequestInvalid
from weir.domain.record import Environment, Payload, Record
from weir.ledger.ledger import Ledger

SCAN_LIMIT = 20_000
"""Records looked at for one answer."""

REACH = 10_000
"""Records up to which a page may reach: those before it are read, too."""

_CHUNK = 1_000
_AT_ONCE = 8
_FIRST_GUESS = 250
"""Records read at once when only some of them may be wanted."""

Matches = Callable[[Record], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which records, newest first: `before` and `since` bound the ids. An intent is read by its own index."""

    workspace: str
    environment: Environment
    application: str | None = None
    intent: str | None = None
    before: str | None = None
    since: str | None = None
    matches: Matches | None = None

    def includes(self, record: Record) -> bool:
        return (
            record.environment == self.environment
            and self.application in (None, record.application)
            and self.intent in (None, record.intent)
            and (self.matches is None or self.matches(record))
        )

    @property
    def selects(self) -> bool:
        """Whether records are read that may not be wanted, but for those of another environment."""
        return self.matches is not None or (self.application is None) != (self.intent is None)


@dataclass(frozen=True, slots=True)
class Page:
    """`total` counts the records as far as they were read: up to the page's end, and one more if there are more."""

    records: tuple[Record, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Latest:
    """`complete` is False when there are more than were read; these are the newest then.

    `looked` counts those that were read, wanted or not.
    """

    records: tuple[Record, ...]
    complete: bool
    looked: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A record with all that was said, and the answer that should have been given, where somebody gave one."""

    record: Record
    payload: Payload
    correction: bytes | None


class Reading:
    """Every method may raise LedgerUnavailable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def page(self, window: Window, offset: int, limit: int, *, narrow: str = "offset") -> Page:
        """A page is shorter than asked where more would take too long, but empty only at the end.

        Raises RequestInvalid beyond the bounds; `narrow` is the parameter by which the caller can ask for less.
        """
        if offset + limit > REACH:
            raise RequestInvalid(
                f"'offset' and 'limit' together may be {REACH} at most; set an earlier 'end_date' where there is one.",
                param="offset",
            )
        wanted = offset + limit + 1
        matching: list[Record] = []
        scanned, more, before = 0, True, window.before
        guess = max(wanted, _FIRST_GUESS) if window.selects else wanted
        while more and len(matching) < wanted and scanned < SCAN_LIMIT:
            size = min(guess, _CHUNK, SCAN_LIMIT - scanned)
            chunk = await self._read(window, size, before)
            matching += filter(window.includes, chunk)
            scanned += len(chunk)
            more = len(chunk) == size
            before = chunk[-1].id if chunk else before
            guess = -(-(wanted - len(matching)) * scanned // max(len(matching), 1))
        shown = tuple(matching[offset : offset + limit])
        if more and len(matching) < wanted and not shown:
            raise RequestInvalid(
                f"This page would need more than {SCAN_LIMIT} records to be looked at. Narrow '{narrow}'.", param=narrow
            )
        return Page(shown, offset + len(shown) + 1 if more and shown else len(matching))

    async def latest(self, window: Window, limit: int) -> Latest:
        """The newest of those up to `limit` that are looked at."""
        found: list[Record] = []
        scanned, more, before = 0, True, window.before
        while more and scanned < limit:
            size = min(_CHUNK, limit - scanned)
            chunk = await self._read(window, size, before)
            found += filter(window.includes, chunk)
            scanned += len(chunk)
            more = len(chunk) == size
            before = chunk[-1].id if chunk else before
        complete = not more or not await self._read(window, 1, before)
        return Latest(tuple(found), complete, scanned)

    async def whole(self, workspace: str, id: str) -> Whole:
        """By our id or the caller's. Raises NotFound."""
        found = await self._ledger.get(workspace, id)
        if found is None:
            raise NotFound(f"There is no request {id[:80]!r}.")
        record, payload = found
        return Whole(record, payload, await self._ledger.correction(record))

    async def each(self, workspace: str, records: Sequence[Record]) -> AsyncIterator[Whole]:
        """All that was said in `records`, one after the other: together it may be more than fits."""
        for start in range(0, len(records), _AT_ONCE):
            ids = [record.id for record in records[start : start + _AT_ONCE]]
            for whole in await asyncio.gather(*(self.whole(workspace, id) for id in ids)):
                yield whole

    async def correct(self, workspace: str, id: str, answer: bytes, at: datetime) -> Whole:
        """Keep `answer`, a scrubbed JSON text, beside the record's own. Durable when it returns. Raises NotFound."""
        if await self._ledger.correct(workspace, id, answer, at) is None:
            raise NotFound(f"There is no request {id[:80]!r}.")
        return await self.whole(workspace, id)

    async def _read(self, window: Window, limit: int, before: str | None) -> tuple[Record, ...]:
        if window.application is not None and window.intent is not None:
            return await self._ledger.of_intent(
                window.workspace, window.application, window.intent, limit=limit, before=before, since=window.since
            )
        return await self._ledger.newest(window.workspace, limit=limit, before=before, since=window.since)
