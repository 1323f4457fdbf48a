"""Of which hours the rollups are whole, so that they can be answered from instead of the records.

On SQLite the change table tells. On DynamoDB nobody can ask a stream how far it is: there an hour is settled when a
check has found all its records in the archive and the archive in the rollups, some time after its end. Whoever keeps a
record long after its hour has ended says so first, and the hour is not settled any more until it is checked again.
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from weir.ledger.keys import hour_of, late_key, settled_partition, until_key
from weir.ledger.ports import ProjectionStore, Replacement

LATE_AFTER = timedelta(minutes=10)
"""Past the end of its hour a record that is kept is late."""

SETTLES_AFTER = timedelta(minutes=25)
"""An hour is not settled earlier. The difference is for clocks that disagree and for puts that are under way."""

_LATE = "late#"


class Settlement(Protocol):
    def unsettled(self, workspace: str, first: str, last: str) -> frozenset[str] | None:
        """Those of the hours from `first` to `last` whose rollups may lack records; None if there are too many."""
        ...


class CheckedSettlement:
    """Kept in the projection store. Every method raises LedgerUnavailable."""

    def __init__(self, store: ProjectionStore) -> None:
        self._store = store

    def unsettled(self, workspace: str, first: str, last: str) -> frozenset[str] | None:
        until, late = self.read(workspace)
        open_hours = hours(max(first, until or first), last)
        return frozenset(open_hours) | frozenset(hour for hour in late if first <= hour <= last)

    def read(self, workspace: str) -> tuple[str | None, dict[str, datetime]]:
        """The first hour that is not settled (None before the first check); late hours, and when they were marked."""
        until, late = None, {}
        for sk, content in self._store.between(settled_partition(workspace), "", "z"):
            if sk.startswith(_LATE):
                late[sk.removeprefix(_LATE)] = datetime.fromtimestamp(int(content) / 1000, UTC)
            else:
                until = content.decode()
        return until, late

    def settle_until(self, workspace: str, before: str | None, until: str) -> None:
        """All hours before `until` are settled; `before` is what was read. Whoever comes second changes nothing."""
        old = None if before is None else before.encode()
        self._store.replace([Replacement(until_key(workspace), old, until.encode())])

    def settle_late(self, workspace: str, hour: str, marked_at: datetime) -> None:
        """Unless it has been marked again since."""
        self._store.replace([Replacement(late_key(workspace, hour), late_content(marked_at), None)])


def is_late(id: str, now: datetime) -> bool:
    return now > end_of(hour_of(id)) + LATE_AFTER


def late_content(marked_at: datetime) -> bytes:
    return b"%d" % round(marked_at.timestamp() * 1000)


def start_of(hour: str) -> datetime:
    return datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC)


def end_of(hour: str) -> datetime:
    return start_of(hour) + timedelta(hours=1)


def hours(first: str, last: str) -> list[str]:
    """From `first` to `last`, both included."""
    found = []
    start = start_of(first)
    while (text := start.strftime("%Y%m%d%H")) <= last:
        found.append(text)
        start += timedelta(hours=1)
    return found
