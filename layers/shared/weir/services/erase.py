"""Erasing what a session, a customer or a user has left: from the table, the blobs, the spill and the archive.

First the archive is told which ids are erased: from then on neither a projector, nor a rebuild, nor what was put aside
brings them back. Whatever kills the erasure after that, the same one asked for again goes on with what is left.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from weir.domain.record import Record
from weir.domain.rollup import Dimensions, dimensions
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Call, Erased, Partition, from_line, without_identity
from weir.ledger.keys import spill_folder
from weir.ledger.ledger import Ledger
from weir.ledger.projections import Projections
from weir.protocols import jsonbytes
from weir.services.erased_sums import customer_sums, of_nobody, session_without
from weir.services.project import Projector, hour_text

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


@dataclass(frozen=True, slots=True)
class Touched:
    """What the subject's calls are summed up in: sessions, and by the hour the sums by customer."""

    sessions: set[str] = field(default_factory=set)
    customers: dict[Partition, set[Dimensions]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        if record.session_id is not None:
            self.sessions.add(record.session_id)
        if record.customer_identifier is not None:
            sums = self.customers.setdefault(Partition.of(record.workspace, record.id), set())
            sums.add(dimensions(record, "customers"))


def erase(
    ledger: Ledger,
    archive: Archive,
    projections: Projections,
    subject: Subject,
    *,
    progress: Progress = lambda what, done, of: None,
) -> Erasure:
    """What was accepted before it began. Raises LedgerUnavailable or Broken; then it is to be asked for again.

    Sums that name nobody stay as they are. Those of a customer go with the customer, or lose the calls, which count
    under no customer from then on, as in a rebuild. Sessions are summed up anew without the calls.
    """
    touched = Touched()
    hours = find(ledger, archive, subject, progress=progress, touched=touched)
    for number, (hour, ids) in enumerate(hours.items()):
        progress("naming them in the archive", number, len(hours))
        lacking = ids - archive.holds(hour, sorted(ids)).keys()
        counted = archive.append(hour, _left(ledger, hour, lacking)).new
        archive.name_erased(hour, ids)
        if counted:
            Projector(archive, projections).catch_up(hour)
    restated = 0
    for number, session in enumerate(sorted(touched.sessions)):  # while the archive still says whose calls they were
        progress("summing up sessions anew", number, len(touched.sessions))
        left = session_without(archive, subject.workspace, session)
        restated += projections.restate_session(subject.workspace, session, left)
    sums = 0
    if subject.whose == "customer_identifier":
        sums = projections.forget_customer(subject.workspace, subject.value)
    for number, (hour, named) in enumerate(touched.customers.items()):
        progress("summing up customers anew", number, len(touched.customers))
        rows = named | {of_nobody(each) for each in named}
        projections.restate_rollups(subject.workspace, hour_text(hour), rows, customer_sums(archive, hour, rows))
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
    touched: Touched | None = None,
) -> dict[Partition, set[str]]:
    """The ids of the subject's calls by the hour, wherever something of them is kept. Only ids are held in memory.

    Every record is looked at: an index may have been left out when some of them were written. `touched` gets what
    they are summed up in.
    """
    hours: dict[Partition, set[str]] = {}
    for record in _kept(ledger, archive, subject, progress):
        hours.setdefault(Partition.of(record.workspace, record.id), set()).add(record.id)
        if touched is not None:
            touched.add(record)
    return dict(sorted(hours.items()))


def _left(ledger: Ledger, hour: Partition, ids: set[str]) -> Iterator[Erased]:
    """What is to be left of calls that the archive does not have yet: without their numbers they would be missed."""
    for id in sorted(ids):
        entry = ledger.records.get(hour.workspace, id)
        found = None if entry is None else entry.record
        if found is None and ledger.spill is not None and (waiting := ledger.spill.get(hour.workspace, id)) is not None:
            found = waiting[0]
        if found is not None and found.id == id:
            yield Erased(without_identity(found))


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
