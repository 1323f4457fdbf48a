"""Sums that named somebody, made anew from the archive without the calls that are erased."""

from collections.abc import Callable, Collection, Iterator, Mapping

from weir.domain.record import Record
from weir.domain.rollup import Dimensions, Rollup, dimensions, rollup
from weir.domain.session import Session, sessions
from weir.ledger.archive import Archive
from weir.ledger.archive_format import ArchiveObject, Call, Partition, without_identity


def session_without(archive: Archive, workspace: str, session_id: str) -> Callable[[Mapping[str, int]], Session | None]:
    """What a session is without the calls that are erased, of the objects that it has taken in."""

    def counted(taken: Mapping[str, int]) -> Session | None:
        calls: dict[str, Record] = {}
        for hour, last in taken.items():
            partition = Partition(workspace, f"{hour[:4]}-{hour[4:6]}-{hour[6:8]}", int(hour[8:]))
            erased = archive.erased(partition)
            for n in archive.objects(partition):
                read = archive.read(partition, n) if n <= last else None
                for member in () if read is None else read.members():
                    record = member.record
                    if isinstance(member, Call) and record.session_id == session_id and record.id not in erased:
                        calls.setdefault(record.id, record)
        return sessions(calls.values()).get(session_id)

    return counted


def of_nobody(named: Dimensions) -> Dimensions:
    """The sum by customer in which erased calls count."""
    environment, _ = named.values
    return Dimensions("customers", (environment, None))


def customer_sums(
    archive: Archive, partition: Partition, rows: Collection[Dimensions]
) -> Callable[[int], Mapping[Dimensions, Rollup] | None]:
    """What these sums are of an hour's objects up to one, an object in memory at a time; None if some are gone."""

    def counted(last: int) -> Mapping[Dimensions, Rollup] | None:
        if archive.objects(partition)[:last] != tuple(range(1, last + 1)):
            return None
        sums: dict[Dimensions, Rollup] = {}
        erased = archive.erased(partition)
        newest = _changed(archive, partition, last)
        for found in _read(archive, partition, last):
            groups: dict[Dimensions, list[Record]] = {}
            for member in found.members():
                record = without_identity(member.record) if member.record.id in erased else member.record
                if record.revision == newest.get(record.id, record.revision):
                    groups.setdefault(dimensions(record, "customers"), []).append(record)
            for row in groups.keys() & set(rows):
                sums[row] = sums.get(row, Rollup()) + rollup(groups[row])
        return sums

    return counted


def _changed(archive: Archive, partition: Partition, last: int) -> Mapping[str, int]:
    """The newest revision of each record that was changed, from the heads alone."""
    found: dict[str, int] = {}
    for n in range(1, last + 1):
        head = archive.head(partition, n)
        for leaf in () if head is None else head.chain.leaves:
            if leaf.revision:
                found[leaf.id] = max(leaf.revision, found.get(leaf.id, 0))
    return found


def _read(archive: Archive, partition: Partition, last: int) -> Iterator[ArchiveObject]:
    for n in range(1, last + 1):
        if (found := archive.read(partition, n)) is not None:
            yield found
