"""Hourly completeness: calls accepted, records stored, archived and rolled up, and what is missing, by id.

Accepted is told by numbers that each process gives to the calls it takes, and not by counting what is stored. A check
that finds an hour whole settles it: from then on sums are answered from its rollups.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from weir.domain.completeness import HourCheck, HourReport, Run, Stored, gaps, stored
from weir.domain.ids import milliseconds, uuid7
from weir.domain.record import Record
from weir.domain.rollup import Rollup, regrouped
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Partition
from weir.ledger.keys import check_key, hour_of, late_key, rollup_partition, spill_folder
from weir.ledger.ports import ProjectionStore, RecordStore, Replacement
from weir.ledger.projections import Projections
from weir.ledger.settlement import LATE_AFTER, SETTLES_AFTER, CheckedSettlement, end_of, hours, late_content, start_of
from weir.ledger.spill import Spill
from weir.protocols import jsonbytes
from weir.services.project import Projector
from weir.services.redrive import Finds

_CHUNK = 1_000
_LIVE_HOURS = 3
_LIVE_RECORDS = 20_000
"""Hours of a report that are looked at on the spot when nobody has yet, unless they hold more records than that."""

MOST_IDS = 1_000
"""Ids that a check keeps of what is not archived."""


class Completeness:
    """Every method raises LedgerUnavailable, and Broken when the archive is."""

    def __init__(
        self,
        records: RecordStore,
        archive: Archive,
        projections: Projections,
        *,
        now: Callable[[], datetime],
        spill: Spill | None = None,
        hours_a_run: int = 48,
    ) -> None:
        self._records = records
        self._archive = archive
        self._projections = projections
        self._store: ProjectionStore = projections.store
        self._now = now
        self._spill = spill
        self._hours_a_run = hours_a_run

    def check(self, workspace: str, hour: str) -> HourCheck:
        """Look at an hour as it is now; nothing is written."""
        return self._checked(workspace, hour, [record for chunk in self._read(workspace, hour) for record in chunk])

    def report(self, workspace: str, first: str, last: str) -> list[HourReport]:
        """The hours from `first` to `last` that have been checked, or that can be now, with what they lack."""
        one = timedelta(hours=1)
        around = hours(_text(start_of(first) - one), _text(start_of(last) + one))
        checks = self._kept(workspace, around[0], around[-1])
        live = [hour for hour in around if hour not in checks and start_of(hour) <= self._now()][-_LIVE_HOURS:]
        checks |= {hour: check for hour in live if (check := self._look(workspace, hour)) is not None}
        between = gaps(checks[hour] for hour in around if hour in checks)
        return [
            HourReport(
                checks[hour],
                tuple(gap for gap in between if hour_of(gap.after) == hour),
                self._rolled_up(workspace, hour),
            )
            for hour in hours(first, last)
            if hour in checks and (checks[hour].applications or not checks[hour].settled)
        ]

    def missing(self, workspace: str, hours_back: int) -> int:
        """Of the hours that have been checked: calls accepted and not stored, and records stored and not archived."""
        first, last = (_text(self._now() - timedelta(hours=back)) for back in (hours_back, 0))
        found = self._kept(workspace, first, last)
        checks = [found[hour] for hour in sorted(found) if hour >= first]
        return sum(gap.missing for gap in gaps(checks)) + sum(len(check.not_archived) for check in checks)

    def run(self, workspace: str, projector: Projector, feed: Finds) -> None:
        """Check the hours that have ended, project what was missed, and settle those that are whole."""
        settlement = CheckedSettlement(self._store)
        until, late = settlement.read(workspace)
        first_day = self._projections.first_day(workspace)
        now = self._now()
        if first_day is None:
            return
        last = _text(now - SETTLES_AFTER - timedelta(hours=1))
        for hour in hours(until or f"{first_day}00", last)[: self._hours_a_run]:
            if not self._settles(workspace, hour, projector, feed):
                self._store.replace([Replacement(late_key(workspace, hour), None, late_content(now))])
            next = _text(end_of(hour))
            settlement.settle_until(workspace, until, next)
            until = next
        for hour, marked_at in late.items():
            if now - marked_at > LATE_AFTER and self._settles(workspace, hour, projector, feed):
                settlement.settle_late(workspace, hour, marked_at)

    def _settles(self, workspace: str, hour: str, projector: Projector, feed: Finds) -> bool:
        check = self.check(workspace, hour)
        if not check.settled:
            projector.project([feed.find(workspace, id) for id in check.not_archived])
            projector.catch_up(Partition.at(workspace, start_of(hour)))
            check = self.check(workspace, hour)
        if check.applications or not check.settled:
            key = check_key(workspace, hour)
            before = self._store.get([key]).get(key)
            self._store.replace([Replacement(key, before, to_check_item(check))])
        return check.settled

    def _read(self, workspace: str, hour: str) -> Iterator[tuple[Record, ...]]:
        since, before = (uuid7(milliseconds(instant), 0) for instant in (start_of(hour), end_of(hour)))
        while chunk := self._records.newest(workspace, limit=_CHUNK, before=before, since=since):
            yield chunk
            before = chunk[-1].id

    def _look(self, workspace: str, hour: str) -> HourCheck | None:
        """A check of an hour that does not hold too many records."""
        found: list[Record] = []
        for chunk in self._read(workspace, hour):
            found += chunk
            if len(found) > _LIVE_RECORDS:
                return None
        return self._checked(workspace, hour, found)

    def _checked(self, workspace: str, hour: str, found: Sequence[Record]) -> HourCheck:
        partition = Partition.at(workspace, start_of(hour))
        held = self._archive.holds(partition, [record.id for record in found])
        erased = self._archive.erased(partition)  # one that is in the table all the same is to be seen: it was put back
        archived = frozenset(
            record.id for record in found if held.get(record.id, -1) >= record.revision and record.id not in erased
        )
        missing = tuple(sorted(record.id for record in found if record.id not in archived))
        objects = self._archive.objects(partition)
        rolled_up = not objects or self._projections.taken(workspace, hour) >= objects[-1]
        return HourCheck(
            hour=hour,
            checked_at=self._now(),
            settled=not missing and rolled_up,
            applications=stored(found, archived, [*self._erased(partition), *self._put_aside(workspace, hour)]),
            not_archived=missing[:MOST_IDS],
        )

    def _erased(self, partition: Partition) -> list[Record]:
        found = (self._archive.member(partition.workspace, id) for id in self._archive.erased(partition))
        return [member.record for member in found if member is not None]

    def _put_aside(self, workspace: str, hour: str) -> list[Record]:
        """What the record store has refused so far is not lost."""
        waiting = self._spill.waiting(spill_folder(workspace)) if self._spill is not None else ()
        return [record for record, _ in waiting if hour_of(record.id) == hour]

    def _kept(self, workspace: str, first: str, last: str) -> dict[str, HourCheck]:
        found = {}
        for day in sorted({hour[:8] for hour in hours(first, last)}):
            for _, content in self._store.between(rollup_partition(workspace, day), "check#00", "check#23"):
                check = from_check_item(content)
                found[check.hour] = check
        return found

    def _rolled_up(self, workspace: str, hour: str) -> dict[str | None, Rollup]:
        rows = self._projections.rollups(workspace, "calls", hour, hour)
        return regrouped(
            ((row.dimensions, row.rollup) for row in rows), lambda dimensions: dimensions.value("application")
        )


def to_check_item(check: HourCheck) -> bytes:
    return jsonbytes.dumps(
        {
            "hour": check.hour,
            "checked_at": milliseconds(check.checked_at),
            "settled": check.settled,
            "not_archived": check.not_archived,
            "applications": [
                [application, each.records, each.archived, each.runs]
                for application, each in check.applications.items()
            ],
        }
    )


def from_check_item(content: bytes) -> HourCheck:
    item: dict[str, Any] = jsonbytes.loads(content)
    return HourCheck(
        hour=item["hour"],
        checked_at=start_of("1970010100") + timedelta(milliseconds=item["checked_at"]),
        settled=item["settled"],
        not_archived=tuple(item["not_archived"]),
        applications={
            application: Stored(records, archived, {writer: _to_runs(found) for writer, found in runs.items()})
            for application, records, archived, runs in item["applications"]
        },
    )


def _to_runs(found: Sequence[Sequence[Any]]) -> tuple[Run, ...]:
    return tuple(Run(*run) for run in found)


def _text(instant: datetime) -> str:
    return instant.strftime("%Y%m%d%H")
