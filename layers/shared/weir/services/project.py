"""From a change feed into the archive, and from the archive into rollups and sessions.

Each change is in the archive once, however often it is delivered, and each object of the archive once in the rollups:
so a batch may come again, in parts or in another order, two projectors may have it at once, and one that is killed at
any point leaves nothing to repair. What it has not reported as done is delivered again.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Record
from weir.domain.rollup import dimensions
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Broken, Call, Chain, Erased, MemberKey, Partition, without_identity
from weir.ledger.changes import Change, Unreadable
from weir.ledger.projections import Projections
from weir.services.erased_sums import customer_sums, of_nobody, session_without

logger = logging.getLogger("weir.project")

NOTHING_KNOWN: Mapping[MemberKey, Record] = {}


@dataclass(slots=True)
class Outcome:
    """What became of a batch, by the changes' tokens: what was refused comes again, what is dead never will be.

    `dead` gives the reasons. Everything else is done.
    """

    refused: set[str] = field(default_factory=set)
    dead: dict[str, str] = field(default_factory=dict)


class Projector:
    """Not for several threads at once; several projectors may be at work."""

    def __init__(self, archive: Archive, projections: Projections) -> None:
        self._archive = archive
        self._projections = projections

    def project(self, changes: Iterable[Change]) -> Outcome:
        """Returns when all that is done is durable."""
        outcome = Outcome()
        for partition, some in self._partitions(changes, outcome).items():
            try:
                self._append(partition, some, outcome)
                self.catch_up(partition, {(record.id, record.revision): record for _, record in some})
            except LedgerUnavailable as exc:
                logger.warning("projection refused", extra={"partition": str(partition), "reason": str(exc)})
                outcome.refused |= {change.token for change, _ in some} - outcome.dead.keys()
            except Broken as exc:
                outcome.dead |= {change.token: f"The archive is broken: {exc}" for change, _ in some}
        return outcome

    def catch_up(self, partition: Partition, known: Mapping[MemberKey, Record] = NOTHING_KNOWN) -> None:
        """Let rollups and sessions take in what the archive has of an hour. Raises LedgerUnavailable or Broken.

        An object is read only if it has more than the `known`.
        """
        workspace, hour = partition.workspace, hour_text(partition)
        number = self._projections.taken(workspace, hour) + 1
        while (head := self._archive.head(partition, number)) is not None:
            erased = self._archive.erased(partition)
            latest: dict[str, Record] = {}
            for record in self._members(head.chain, known, erased):
                if record.id not in latest or latest[record.id].revision < record.revision:
                    latest[record.id] = record
            held = self._archive.holds(partition, list(latest), before=number)
            calls = [record for id, record in latest.items() if id not in held]
            changed = [(self._before(partition, number, id, erased), latest[id]) for id in latest if id in held]
            newer = [(old, new) for old, new in changed if old.revision < new.revision]  # else it came out of order
            self._projections.take_in(workspace, hour, number, calls, newer)
            # An erasure that came after the look summed up what was there, and that was not yet this.
            late = self._archive.erased(partition) - erased
            self._sum_up_without(partition, [record for id, record in latest.items() if id in late])
            number += 1

    def _sum_up_without(self, partition: Partition, erased: Sequence[Record]) -> None:
        workspace = partition.workspace
        for session in sorted({record.session_id for record in erased if record.session_id is not None}):
            left = session_without(self._archive, workspace, session)
            self._projections.restate_session(workspace, session, left)
        named = {dimensions(record, "customers") for record in erased if record.customer_identifier is not None}
        if named:
            rows = named | {of_nobody(each) for each in named}
            sums = customer_sums(self._archive, partition, rows)
            self._projections.restate_rollups(workspace, hour_text(partition), rows, sums)

    def _before(self, partition: Partition, number: int, id: str, erased: frozenset[str]) -> Record:
        found = self._archive.latest_before(partition, number, id)
        if found is None:
            raise Broken(f"{id} is gone from below {partition.key(number)}")
        return without_identity(_counted(found)) if id in erased else _counted(found)

    def _members(self, chain: Chain, known: Mapping[MemberKey, Record], erased: frozenset[str]) -> Iterator[Record]:
        """`erased` may not be blanked yet: nobody is to be named again."""
        keys = [(leaf.id, leaf.revision) for leaf in chain.leaves]
        if all(key in known for key in keys) and erased.isdisjoint(id for id, _ in keys):
            yield from (known[key] for key in keys)
            return
        found = self._archive.read(chain.partition, chain.n)
        if found is None:
            raise Broken(f"{chain.partition.key(chain.n)} is gone")
        for member in found.members():
            record = _counted(member)
            yield without_identity(record) if record.id in erased else record

    def _partitions(
        self, changes: Iterable[Change], outcome: Outcome
    ) -> Mapping[Partition, list[tuple[Change, Record]]]:
        found: dict[Partition, list[tuple[Change, Record]]] = {}
        for change in changes:
            try:
                record = change.record()
            except Unreadable as exc:
                outcome.dead[change.token] = str(exc)
                continue
            except LedgerUnavailable as exc:
                logger.warning("projection refused", extra={"record_id": change.id, "reason": str(exc)})
                outcome.refused.add(change.token)
                continue
            if record is None:  # erased or expired before it was seen
                continue
            found.setdefault(Partition.of(record.workspace, record.id), []).append((change, record))
        return found

    def _append(self, partition: Partition, changes: Sequence[tuple[Change, Record]], outcome: Outcome) -> None:
        held = self._archive.holds(partition, [record.id for _, record in changes])
        self._archive.append(partition, _members(changes, set(held), outcome))


def hour_text(partition: Partition) -> str:
    """`YYYYMMDDHH`, as the rollups' keys have it."""
    return f"{partition.date.replace('-', '')}{partition.hour:02}"


def _members(changes: Sequence[tuple[Change, Record]], held: set[str], outcome: Outcome) -> Iterator[Call]:
    """The first of a record's members has its payload, whichever revision it is; those after it do not."""
    for change, record in sorted(changes, key=lambda each: each[1].revision):
        if record.id in held:
            if record.revision:
                yield Call(record)
            continue
        try:
            payload = change.payload()
        except Unreadable as exc:
            outcome.dead[change.token] = str(exc)
            continue
        held.add(record.id)
        yield Call(record, payload)


def _counted(member: Call | Erased) -> Record:
    match member:
        case Call(record, _) | Erased(record):
            return record
