"""Pages, summaries and groups of records."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from weir.domain.errors import RequestInvalid
from weir.domain.record import Record
from weir.domain.totals import GroupField, Totals, grouped
from weir.http.request_log_query import ListQuery, Order, Window
from weir.ledger.keys import Index
from weir.ledger.ledger import Ledger
from weir.ledger.projections import Projections
from weir.services.rolled_sums import Bounds, added, rolled_sums

SCAN_LIMIT = 20_000
"""Records looked at for one answer. What would take more is refused, with the way out."""

REACH = 10_000
"""Records that a page number leaps over when the page before it was not asked for lately: each of them is read."""

_CHUNK = 1_001  # the largest page and one record more
_CHAINS = 1_000
_CHAIN_LASTS_S = 600.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """`shown` counts the matching records up to the page's end, `count` also one more if there is one.

    `following` is the id below which the next page begins; None at the end, and in an order other than newest first.
    """

    records: tuple[Record, ...]
    count: int
    shown: int
    following: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: below the id `before`, after `counted` records."""

    before: str | None
    counted: int = 0


@dataclass(slots=True)
class _Chain:
    used: float
    places: dict[int, Place] = field(default_factory=dict)


class Places:
    """Where the pages of lists begin that were asked for lately, so that a page number goes on where its page ended.

    Readers that know nothing but page numbers would otherwise see a record twice for each that comes in while they
    read. The first page begins anew. Kept in this process: another one counts from its newest record again, which
    repeats records and never leaves one out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._chains: OrderedDict[str, _Chain] = OrderedDict()
        self._clock = clock

    def find(self, key: str, page: int) -> tuple[int, Place]:
        """The nearest page up to `page` whose place is known, and the place."""
        chain = self._chains.get(key)
        if chain is None or page == 1 or self._clock() - chain.used > _CHAIN_LASTS_S:
            return 1, Place(None)
        near = max((known for known in chain.places if known <= page), default=1)
        return near, chain.places.get(near, Place(None))

    def begin(self, key: str) -> None:
        self._chains.pop(key, None)

    def remember(self, key: str, page: int, place: Place) -> None:
        now = self._clock()
        chain = self._chains.pop(key, None)
        if chain is None or now - chain.used > _CHAIN_LASTS_S:
            chain = _Chain(now)
        chain.used = now
        chain.places[page] = place
        self._chains[key] = chain
        if len(self._chains) > _CHAINS:
            self._chains.popitem(last=False)


class LogQueries:
    def __init__(
        self,
        ledger: Ledger,
        places: Places | None = None,
        *,
        projections: Projections | None = None,
        indexes: frozenset[Index] = frozenset(),
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Without `projections` sums are made from records alone; `indexes` are those that the ledger has."""
        self._ledger = ledger
        self._by_customer = "customer" in indexes
        self._projections = projections
        self._now = now
        self._places = places if places is not None else Places()

    async def page(self, workspace: str, query: ListQuery, key: str) -> Page:
        """`key` stands for the question, whatever page of it is asked for. Raises RequestInvalid beyond the bounds."""
        key = f"{workspace}\n{key}"
        if query.order is not None:
            return await self._sorted_page(workspace, query, query.order, key)
        if query.by_cursor:
            return _counted_on(await self._newest(workspace, query.window, 0, query.page_size), query.counted)
        near, place = self._places.find(key, query.page)
        skip = (query.page - near) * query.page_size
        if skip + query.page_size > REACH:
            raise RequestInvalid(
                f"'page' times 'page_size' may be {REACH} at most, unless the pages are asked for one after the "
                "other. Go on with the 'cursor' in a page's 'next', or narrow 'start_time' and 'end_time'.",
                param="page",
            )
        window = query.window if place.before is None else replace(query.window, before=place.before)
        page = await self._newest(workspace, window, skip, query.page_size)
        if query.page == 1:
            self._places.begin(key)
        page = _counted_on(page, place.counted)
        if page.following is not None:
            self._places.remember(key, query.page + 1, Place(page.following, page.shown))
        elif page.records:  # what comes in from now on is on no page of this list
            self._places.remember(key, query.page + 1, Place(page.records[-1].id, page.shown))
        return page

    async def totals(
        self, workspace: str, window: Window, group_by: GroupField | None = None
    ) -> Mapping[str | None, Totals]:
        """By the values of a field, or all under None.

        Whole hours come from the rollups, where these are whole. Raises RequestInvalid when more records than the
        bound allows would have to be read besides.
        """
        sums: Mapping[str | None, Totals] = {}
        rest: tuple[Bounds, ...] = (Bounds(window.since, window.before),)
        if _is_all(window) and self._projections is not None:
            rolled = await asyncio.to_thread(
                partial(
                    rolled_sums,
                    self._projections,
                    workspace,
                    rest[0],
                    group_by=group_by,
                    environment=window.environment,
                    now=self._now,
                )
            )
            sums, rest = rolled.sums, rolled.rest
        left = SCAN_LIMIT
        for bounds in rest:
            part = replace(window, since=bounds.since, before=bounds.before)
            found, read = await self._totals(workspace, part, group_by, left)
            sums, left = added(sums, found), left - read
        return sums

    async def _totals(
        self, workspace: str, window: Window, group_by: GroupField | None, most: int
    ) -> tuple[Mapping[str | None, Totals], int]:
        """The sums over records, and how many of them were read one by one."""
        if _is_all(window):
            found = await self._ledger.totals(
                workspace,
                group_by=group_by,
                before=window.before,
                since=window.since,
                environment=window.environment,
            )
            if found is not None:
                return found, 0
        records = await self._all(workspace, window, "A sum over these filters", most)
        return grouped(records, group_by), len(records)

    async def _newest(self, workspace: str, window: Window, skip: int, size: int) -> Page:
        """A page is shorter than asked where more would take too long, but empty only at the end."""
        wanted = skip + size + 1
        matching: list[Record] = []
        scanned, more, last = 0, True, window.before
        # Without filters nearly all that is read is returned. With them, or where records of another environment lie
        # between, as much is read at once as it took so far for what was found.
        limit = max(wanted, _CHUNK // 2) if self._selects(window) else wanted
        while more and len(matching) < wanted and scanned < SCAN_LIMIT:
            limit = min(limit, _CHUNK, SCAN_LIMIT - scanned)
            chunk = await self._read(workspace, window, limit, last)
            matching += filter(window.includes, chunk)
            scanned += len(chunk)
            more = len(chunk) == limit
            last = chunk[-1].id if chunk else last
            limit = -(-(wanted - len(matching)) * scanned // max(len(matching), 1))
        shown = tuple(matching[skip : skip + size])
        if len(matching) >= wanted:
            return Page(shown, wanted, wanted - 1, matching[wanted - 2].id)
        if more and not shown:
            raise _beyond("A page of these filters")
        return Page(shown, len(matching) + (1 if more else 0), len(matching), last if more else None)

    async def _sorted_page(self, workspace: str, query: ListQuery, order: Order, key: str) -> Page:
        """Over what was there when the first page was asked for."""
        _, place = self._places.find(key, query.page)
        window = query.window if place.before is None else replace(query.window, before=place.before)
        records = await self._all(workspace, window, "This order")
        if query.page == 1:
            self._places.begin(key)
            if records:
                self._places.remember(key, 2, Place(f"{max(record.id for record in records)}~"))
        start = (query.page - 1) * query.page_size
        shown = tuple(order.sort(records)[start : start + query.page_size])
        return Page(shown, len(records), start + len(shown))

    async def _all(self, workspace: str, window: Window, what: str, most: int = SCAN_LIMIT) -> list[Record]:
        found: list[Record] = []
        scanned = 0
        async for chunk in self._chunks(workspace, window):
            scanned += len(chunk)
            if scanned > most:
                raise _beyond(what)
            found += filter(window.includes, chunk)
        return found

    async def _chunks(self, workspace: str, window: Window) -> AsyncIterator[tuple[Record, ...]]:
        """The whole window, and one record more than the bound allows if there are more."""
        before, left, more = window.before, SCAN_LIMIT + 1, True
        while more and left:
            limit = min(_CHUNK, left)
            chunk = await self._read(workspace, window, limit, before)
            yield chunk
            more, left = len(chunk) == limit, left - len(chunk)
            before = chunk[-1].id if chunk else before

    async def _read(self, workspace: str, window: Window, limit: int, before: str | None) -> tuple[Record, ...]:
        if window.customer is not None and self._by_customer:
            return await self._ledger.of_customer(
                workspace, window.customer, limit=limit, before=before, since=window.since
            )
        return await self._ledger.newest(workspace, limit=limit, before=before, since=window.since)

    def _selects(self, window: Window) -> bool:
        """Whether records are read that may not be wanted, but for those of another environment."""
        return window.matches is not None or (window.customer is not None and not self._by_customer)


def _is_all(window: Window) -> bool:
    """Whether every record within its bounds is asked for."""
    return window.matches is None and window.customer is None


def _counted_on(page: Page, before: int) -> Page:
    return replace(page, count=before + page.count, shown=before + page.shown)


def _beyond(what: str) -> RequestInvalid:
    return RequestInvalid(
        f"{what} would need more than {SCAN_LIMIT} records to be looked at. Narrow 'start_time' and 'end_time'.",
        param="start_time",
    )
