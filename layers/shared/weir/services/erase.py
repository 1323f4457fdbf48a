"""Erasing what a session, a customer or a user has left: from the table, the blobs, the spill and the archive.

First the archive is told which ids are erased: from then on neither a projector, nor a rebuild, nor what was put aside
brings them back. Whatever kills the erasure after that, the same one asked for again goes on with what is left.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from weir.domain.record import Record
from weir.domain.session import Session, sessions
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Call, Partition, from_line
from weir.ledger.keys import spill_folder
from weir.ledger.ledger import Ledger
from weir.ledger.projections import Projections
from weir.protocols import jsonbytes

_PAGE = 1_000

Whose = Literal["session_id", "customer_identifier", "user_id"]
Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much; 0 where nobody knows."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose calls are erased: those that have `value` in the field `whose`."""

    workspace: str
    whose: Whose
    value: str

    def has(self, record: Record) -> bool:
        found: str | None = getattr(record, self.whose)
        return record.workspace == self.workspace and found == self.value


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was found and is gone: calls, and what was kept of them in each place."""

    calls: int = 0
    records: int = 0
    payload_blobs: int = 0
    put_aside: int = 0
    sessions: int = 0
    customer_sums: int = 0
    archive_members: int = 0
    archive_hours: int = 0


def erase(
    ledger: Ledger,
    archive: Archive,
    projections: Projections,
    subject: Subject,
    *,
    progress: Progress = lambda what, done, of: None,
) -> Erasure:
    """What was accepted before it began. Raises LedgerUnavailable or Broken; then it is to be asked for again.

    Sums that name nobody stay as they are. Those of the customer go, and sessions are summed up anew without the calls.
    """
    touched: set[str] = set()
    hours = find(ledger, archive, subject, progress=progress, touched=touched)
    for number, (hour, ids) in enumerate(hours.items()):
        progress("naming them in the archive", number, len(hours))
        archive.name_erased(hour, ids)
    restated = 0
    for number, session in enumerate(sorted(touched)):  # while the archive still says whose calls they were
        progress("summing up sessions anew", number, len(touched))
        restated += projections.restate_session(subject.workspace, session, _left_of(archive, subject, session))
    sums = 0
    if subject.whose == "customer_identifier":
        sums = projections.forget_customer(subject.workspace, subject.value)
    calls = [id for ids in hours.values() for id in sorted(ids)]
    records = blobs = spilled = 0
    for number, id in enumerate(calls):
        progress("deleting records", number, len(calls))
        erased = ledger.erase(subject.workspace, id)
        records, blobs, spilled = records + erased.records, blobs + erased.blobs, spilled + erased.spilled
    members = 0
    for number, hour in enumerate(hours):
        progress("rewriting the archive", number, len(hours))
        members += archive.blank(hour)
    return Erasure(
        calls=len(calls),
        records=records,
        payload_blobs=blobs,
        put_aside=spilled,
        sessions=restated,
        customer_sums=sums,
        archive_members=members,
        archive_hours=len(hours),
    )


def find(
    ledger: Ledger,
    archive: Archive,
    subject: Subject,
    *,
    progress: Progress = lambda what, done, of: None,
    touched: set[str] | None = None,
) -> dict[Partition, set[str]]:
    """The ids of the subject's calls by the hour, wherever something of them is kept. Only ids are held in memory.

    Every record is looked at: an index may have been left out when some of them were written. `touched` gets the
    sessions that they are in.
    """
    hours: dict[Partition, set[str]] = {}
    for record in _kept(ledger, archive, subject, progress):
        hours.setdefault(Partition.of(record.workspace, record.id), set()).add(record.id)
        if touched is not None and record.session_id is not None:
            touched.add(record.session_id)
    return dict(sorted(hours.items()))


def _left_of(archive: Archive, subject: Subject, session_id: str) -> Callable[[Mapping[str, int]], Session | None]:
    """What a session is without the calls that are erased, of the objects that it has taken in."""

    def counted(taken: Mapping[str, int]) -> Session | None:
        calls: dict[str, Record] = {}
        for hour, last in taken.items():
            partition = Partition(subject.workspace, f"{hour[:4]}-{hour[4:6]}-{hour[6:8]}", int(hour[8:]))
            erased = archive.erased(partition)
            for n in archive.objects(partition):
                read = archive.read(partition, n) if n <= last else None
                for member in () if read is None else read.members():
                    record = member.record
                    if isinstance(member, Call) and record.session_id == session_id and record.id not in erased:
                        calls.setdefault(record.id, record)
        return sessions(calls.values()).get(session_id)

    return counted


def _kept(ledger: Ledger, archive: Archive, subject: Subject, progress: Progress) -> Iterator[Record]:
    if ledger.spill is not None:  # first: what is put back meanwhile is found in the table
        for record, _ in ledger.spill.waiting(spill_folder(subject.workspace)):
            if subject.has(record):
                yield record
    yield from _in_table(ledger, subject, progress)
    yield from _in_archive(archive, subject, progress)


def _in_table(ledger: Ledger, subject: Subject, progress: Progress) -> Iterator[Record]:
    looked, before = 0, None
    while page := ledger.records.newest(subject.workspace, limit=_PAGE, before=before):
        yield from filter(subject.has, page)
        looked, before = looked + len(page), page[-1].id
        progress("looking through the records", looked, 0)


def _in_archive(archive: Archive, subject: Subject, progress: Progress) -> Iterator[Record]:
    hours = list(archive.partitions(subject.workspace))
    wanted = b'"%b":%b' % (subject.whose.encode(), jsonbytes.dumps(subject.value))
    for number, hour in enumerate(hours):
        progress("looking through the archive", number, len(hours))
        for n in archive.objects(hour):
            read = archive.read(hour, n)
            for line in () if read is None else read.lines():
                if wanted in line:  # it may stand in a body, too
                    member = from_line(line)
                    if isinstance(member, Call) and subject.has(member.record):
                        yield member.record
