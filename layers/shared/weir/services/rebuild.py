"""The table, the rollups and the sessions anew, from the archive alone."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from weir.domain.record import Payload, Record
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Call, Partition
from weir.ledger.ledger import Ledger

_AT_ONCE = 64
"""Records that are under way: enough for a group commit, few enough to hold their payloads in memory."""


@dataclass(slots=True)
class Rebuilt:
    """What became of the archive's calls. `there` had been kept already; `bare` have no body in the archive.

    `erased` were taken away by an erasure, and stay away.
    """

    kept: int = 0
    there: int = 0
    erased: int = 0
    bare: int = 0

    def __iadd__(self, other: "Rebuilt") -> "Rebuilt":
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self


class Rebuild:
    """`catch_up` lets the rollups take in what the archive has of an hour.

    Every record is put once, so an hour that was cut off is simply done again. What is erased meanwhile, or was after
    an hour had been cut off, is taken out of the table again.
    """

    def __init__(self, archive: Archive, ledger: Ledger, catch_up: Callable[[Partition], None]) -> None:
        self._archive = archive
        self._ledger = ledger
        self._catch_up = catch_up

    async def hour(self, partition: Partition) -> Rebuilt:
        """Returns when everything of the hour is durable. Raises LedgerUnavailable or Broken."""
        done = Rebuilt()
        newest = await asyncio.to_thread(self._newest, partition)
        erased = await asyncio.to_thread(self._archive.erased, partition)
        members = self._first(partition, erased)
        while batch := await asyncio.to_thread(_some, members):
            done += await self._keep([(newest.get(record.id, record), payload) for record, payload in batch])
        done.erased = await asyncio.to_thread(self._erase, partition)
        await asyncio.to_thread(self._catch_up, partition)
        return done

    def _erase(self, partition: Partition) -> int:
        """How many ids are erased. An erasure that names its ids after this look finds the records in the table."""
        erased = self._archive.erased(partition)
        for id in erased:
            entry = self._ledger.records.get(partition.workspace, id)
            if entry is not None and entry.record.id == id:
                self._ledger.erase(partition.workspace, id)
        return len(erased)

    async def _keep(self, batch: list[tuple[Record, Payload | None]]) -> Rebuilt:
        work = [self._put(record, payload) for record, payload in batch if payload is not None]
        kept = sum(await asyncio.gather(*work))
        return Rebuilt(kept=kept, there=len(work) - kept, bare=len(batch) - len(work))

    async def _put(self, record: Record, payload: Payload) -> bool:
        """Whether it was not there yet. A caller's id stands for the newest of several records that have it."""
        kept = await self._ledger.keep(record, payload, claimed=True)
        if record.caller_id is not None:
            holder = await self._ledger.claim(record.workspace, record.caller_id, record.id)
            while holder is not None and holder < record.id:
                holder = await self._ledger.claim(record.workspace, record.caller_id, record.id, instead_of=holder)
        return kept.new

    def _newest(self, partition: Partition) -> dict[str, Record]:
        """Records that were changed after they were archived, as they are now; the others are not held in memory."""
        found: dict[str, Record] = {}
        for member in self._calls(partition):
            record = member.record
            if member.payload is None and (record.id not in found or found[record.id].revision < record.revision):
                found[record.id] = record
        return found

    def _first(self, partition: Partition, erased: frozenset[str]) -> Iterator[tuple[Record, Payload | None]]:
        """Each call once, with its payload: the member that has it is the first of its record."""
        seen: set[str] = set(erased)
        for member in self._calls(partition):
            if member.record.id not in seen:
                seen.add(member.record.id)
                yield member.record, member.payload

    def _calls(self, partition: Partition) -> Iterator[Call]:
        for n in self._archive.objects(partition):
            found = self._archive.read(partition, n)
            for member in found.members() if found is not None else ():
                if isinstance(member, Call):
                    yield member


def _some(members: Iterator[tuple[Record, Payload | None]]) -> list[tuple[Record, Payload | None]]:
    return [each for _, each in zip(range(_AT_ONCE), members, strict=False)]
