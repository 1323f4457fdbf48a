"""Figures over the latest records, for the developer API."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from weir.domain.errors import RequestInvalid
from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.record import Record
from weir.domain.totals import Totals, total
from weir.services.reading import SCAN_LIMIT, Reading, Window

DAYS = 30
"""What is looked at when nobody says how much."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Figures:
    """Over `records`, which came from `since` on: later than was asked for when there were too many to look at them."""

    records: tuple[Record, ...]
    since: datetime
    until: datetime
    complete: bool

    @property
    def totals(self) -> Totals:
        return total(self.records)

    def by(self, of: Callable[[Record], _Key]) -> Mapping[_Key, Totals]:
        return totals_by(self.records, of)

    @property
    def by_day(self) -> Mapping[str, Totals]:
        """By UTC day, `2026-01-31`, in their order; only days with records."""
        found = self.by(lambda record: record.created_at.date().isoformat())
        return {day: found[day] for day in sorted(found)}


class Analytics:
    """`now` gives UTC instants."""

    def __init__(self, reading: Reading, *, now: Callable[[], datetime]) -> None:
        self._reading = reading
        self._now = now

    async def figures(self, window: Window, since: datetime | None, until: datetime | None) -> Figures:
        """Of the last 30 days when nobody says from when on, or of as many records of them as can be looked at.

        Raises RequestInvalid when `since` is given and there are more records than that.
        """
        until = until if until is not None else self._now()
        begin = since if since is not None else max(until - timedelta(days=DAYS), _EPOCH)
        since_id, before_id = uuid7(milliseconds(begin), 0), uuid7(milliseconds(until) + 1, 0)
        latest = await self._reading.latest(replace(window, since=since_id, before=before_id), SCAN_LIMIT)
        if latest.complete:
            return Figures(latest.records, begin, until, complete=True)
        if since is not None:
            raise RequestInvalid(
                f"These figures would need more than {SCAN_LIMIT} records to be looked at. Narrow 'start_date' and "
                "'end_date'.",
                param="start_date",
            )
        begin = instant_of(latest.records[-1].id) if latest.records else until
        return Figures(latest.records, begin, until, complete=False)


def totals_by(records: Iterable[Record], of: Callable[[Record], _Key]) -> Mapping[_Key, Totals]:
    groups: dict[_Key, list[Record]] = {}
    for record in records:
        groups.setdefault(of(record), []).append(record)
    return {key: total(members) for key, members in groups.items()}
