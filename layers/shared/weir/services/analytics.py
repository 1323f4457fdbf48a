"""Figures over a window of time, for the developer API: from hourly rollups, and from records where they do not do."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from weir.domain.errors import RequestInvalid
from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.record import Record
from weir.domain.rollup import Dimensions
from weir.domain.totals import Totals, total
from weir.ledger.keys import hour_of
from weir.ledger.projections import HourlyRollup, Projections
from weir.ledger.settlement import end_of, start_of
from weir.services.reading import SCAN_LIMIT, Reading, Window
from weir.services.rolled_sums import Bounds, RolledHours, rolled_hours

DAYS = 30
"""What is looked at when nobody says how much."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Key = TypeVar("_Key", bound=Hashable)


class Cell(NamedTuple):
    """What figures are kept by. `day` is UTC, `2026-01-31`; `model` the one asked for, else the one that answered."""

    day: str
    application: str | None
    provider: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Over what came from `since` on: later than was asked for when there was too much to look at it.

    `latest` are the newest of the records that were read, by application; `latest_hours` the last of the hours that
    came from rollups.
    """

    cells: Mapping[Cell, Totals]
    since: datetime
    until: datetime
    complete: bool
    latest: Mapping[str | None, Record]
    latest_hours: Mapping[str | None, str]

    @property
    def totals(self) -> Totals:
        return sum(self.cells.values(), Totals())

    def by(self, of: Callable[[Cell], _Key]) -> Mapping[_Key, Totals]:
        groups: dict[_Key, Totals] = {}
        for cell, totals in self.cells.items():
            key = of(cell)
            groups[key] = groups[key] + totals if key in groups else totals
        return groups

    @property
    def by_day(self) -> Mapping[str, Totals]:
        """In their order; only days with records."""
        found = self.by(lambda cell: cell.day)
        return {day: found[day] for day in sorted(found)}


class Analytics:
    """`now` gives UTC instants. Every method may raise LedgerUnavailable."""

    def __init__(self, reading: Reading, projections: Projections, *, now: Callable[[], datetime]) -> None:
        self._reading = reading
        self._projections = projections
        self._now = now

    async def figures(
        self, window: Window, since: datetime | None, until: datetime | None, *, by_model: bool = False
    ) -> Figures:
        """Of the last 30 days when nobody says from when on, or as far back as the records that rollups do not answer
        can be looked at. `by_model`: the cells' models are wanted, which rollups know of calls that asked for one.

        Raises RequestInvalid when `since` is given and there are more such records than that.
        """
        until = until if until is not None else self._now()
        begin = since if since is not None else max(until - timedelta(days=DAYS), _EPOCH)
        asked = Bounds(uuid7(milliseconds(begin), 0), uuid7(milliseconds(until) + 1, 0))
        rolled = await asyncio.to_thread(self._rolled, window, asked, by_model)
        records: list[Record] = []
        left = SCAN_LIMIT
        for rest in reversed(rolled.rest):
            latest = await self._reading.latest(replace(window, since=rest.since, before=rest.before), left)
            records += latest.records
            left -= latest.looked
            if latest.complete:
                continue
            if since is not None:
                raise RequestInvalid(
                    f"These figures would need more than {SCAN_LIMIT} records to be looked at. Narrow 'start_date' "
                    "and 'end_date'.",
                    param="start_date",
                )
            last = latest.records[-1].id if latest.records else rest.before
            begin = until if last is None else min(until, instant_of(last))
            rows = [row for row in rolled.rows if start_of(row.hour) >= begin]
            return _figures(records, rows, begin, until, complete=False)
        return _figures(records, rolled.rows, begin, until, complete=True)

    async def last_calls(self, window: Window, found: Figures) -> Mapping[str | None, datetime]:
        """When each application was last called; one is left out where it would take too many records to find it."""
        calls: dict[str | None, datetime] = {}
        for application in {**found.latest_hours, **found.latest}:
            record, hour = found.latest.get(application), found.latest_hours.get(application)
            if hour is not None and (record is None or hour_of(record.id) < hour):
                record = await self._last_of_hour(window, application, hour)
            if record is not None:
                calls[application] = record.created_at
        return calls

    async def _last_of_hour(self, window: Window, application: str | None, hour: str) -> Record | None:
        of_it = replace(
            window,
            since=uuid7(milliseconds(start_of(hour)), 0),
            before=uuid7(milliseconds(end_of(hour)), 0),
            matches=lambda record: record.application == application,
        )
        try:
            page = await self._reading.page(of_it, 0, 1)
        except RequestInvalid:  # further back than may be looked at
            return None
        return page.records[0] if page.records else None

    def _rolled(self, window: Window, asked: Bounds, by_model: bool) -> RolledHours:
        return rolled_hours(
            self._projections,
            window.workspace,
            asked,
            family="calls",
            wanted=partial(_is_in, window),
            unclear=lambda dimensions: by_model and dimensions.value("model") is None,
            now=self._now,
        )


def _figures(
    records: Iterable[Record], rows: Iterable[HourlyRollup], since: datetime, until: datetime, *, complete: bool
) -> Figures:
    cells: dict[Cell, Totals] = {}
    latest: dict[str | None, Record] = {}
    latest_hours: dict[str | None, str] = {}
    groups: dict[Cell, list[Record]] = {}
    for record in records:
        groups.setdefault(_cell_of(record), []).append(record)
        if record.application not in latest or latest[record.application].id < record.id:
            latest[record.application] = record
    for cell, members in groups.items():
        cells[cell] = total(members)
    for row in rows:
        cell, totals = _cell_of_row(row), row.rollup.totals()
        cells[cell] = cells[cell] + totals if cell in cells else totals
        latest_hours[cell.application] = max(row.hour, latest_hours.get(cell.application, ""))
    return Figures(cells, since, until, complete, latest, latest_hours)


def _cell_of(record: Record) -> Cell:
    day = record.created_at.date().isoformat()
    return Cell(day, record.application, record.provider, record.model or record.answered_model)


def _cell_of_row(row: HourlyRollup) -> Cell:
    day = start_of(row.hour).date().isoformat()
    return Cell(day, *(row.dimensions.value(field) for field in ("application", "provider", "model")))


def _is_in(window: Window, dimensions: Dimensions) -> bool:
    return (
        dimensions.value("environment") == window.environment
        and window.application in (None, dimensions.value("application"))
        and window.intent in (None, dimensions.value("intent"))
    )
