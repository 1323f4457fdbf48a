"""Sealing what the archive's hours end with: the last ones on a schedule, older ones when they get longer."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from weir.ledger.archive import Archive
from weir.ledger.archive_format import Partition
from weir.ledger.seals import Seal, Seals

RECENT = timedelta(days=2)


def seal_recent(archive: Archive, seals: Seals, workspace: str, at: datetime) -> Seal | None:
    """The hours from some time before the last seal on: there may have been no schedule since.

    None when nothing has changed since the last seal. Raises LedgerUnavailable or Broken.
    """
    last = seals.last(workspace)
    since = None if last is None else min(at, last.at) - RECENT
    return seals.put(workspace, _tails(archive, archive.partitions(workspace, since=since)), at)


def seal_late(seals: Seals, now: Callable[[], datetime]) -> Callable[[Partition, int, str], None]:
    """Seals an object that was put into an hour which `seal_recent` no longer looks at, or soon will not."""

    def after_put(partition: Partition, n: int, hash: str) -> None:
        at = now()
        if partition.start < at - RECENT / 2:
            seals.put(partition.workspace, [(partition, n, hash)], at)

    return after_put


def _tails(archive: Archive, partitions: Iterator[Partition]) -> Iterator[tuple[Partition, int, str]]:
    for partition in partitions:
        if (tail := archive.tail(partition)) is not None:
            yield partition, *tail
