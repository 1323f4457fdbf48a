"""Putting back what was put aside, once the record store takes it again."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import is_uuid7
from weir.domain.record import Payload, Record
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Partition
from weir.ledger.ledger import Ledger
from weir.services.keep import keep_once

_AT_ONCE = 32

_Spilled = tuple[Record, Payload]


@dataclass(frozen=True, slots=True)
class PutBack:
    """How many are stored now, and how many of those that were put aside had been erased meanwhile.

    `refusal` is why it stopped before all was done.
    """

    stored: int = 0
    erased: int = 0
    refusal: str | None = None


async def put_back(ledger: Ledger, archive: Archive, *, go_on: Callable[[], bool] = lambda: True) -> PutBack:
    """Until nothing is left, the record store refuses again, or `go_on` says no. Any number may be at it at once.

    Raises LedgerUnavailable when the blob store refuses, and Broken when the archive is not to be read.
    """
    if ledger.spill is None:
        return PutBack()
    store = ledger.without_spill()
    waiting = ledger.spill.waiting()
    stored = erased = 0
    while go_on() and (some := await asyncio.to_thread(_next, waiting)):
        # A caller's id may be one of ours: then its record must be there before it is asked for.
        callers = [each for each in some if each[0].caller_id is not None and is_uuid7(each[0].caller_id)]
        others = [each for each in some if each not in callers]
        try:
            for part in (others, *([each] for each in callers)):
                await asyncio.gather(*(_store(store, record, payload) for record, payload in part))
        except LedgerUnavailable as exc:
            return PutBack(stored, erased, str(exc))
        gone = await asyncio.to_thread(_settle, ledger, archive, [record for record, _ in some])
        stored, erased = stored + len(some) - gone, erased + gone
    return PutBack(stored, erased)


def _next(waiting: Iterator[_Spilled]) -> Sequence[_Spilled]:
    return list(islice(waiting, _AT_ONCE))


async def _store(store: Ledger, record: Record, payload: Payload) -> None:
    if record.origin == "completion":
        kept = await store.keep(record, payload)
    else:
        kept = await keep_once(store, record, payload)
    if kept.id != record.id:  # it is on record under another id; whoever was told this one finds it by this one, too
        await store.claim(record.workspace, record.id, kept.id)


def _settle(ledger: Ledger, archive: Archive, records: Sequence[Record]) -> int:
    """Forget what is stored. How many of them had been erased, and are not stored either.

    An erasure says so in the archive before it deletes anything: one that begins after this look finds the record
    where it was put back.
    """
    if ledger.spill is None:
        return 0
    erased = {
        id
        for partition in {Partition.of(record.workspace, record.id) for record in records}
        for id in archive.erased(partition)
    }
    gone = 0
    for record in records:
        if record.id in erased:
            ledger.erase(record.workspace, record.id)
            gone += 1
        ledger.spill.delete(record)
    return gone
