"""The ledger as the services use it: keep a record with its payload, read it back, list."""

import asyncio
import gzip
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from weir.domain.annotation import Annotation
from weir.domain.errors import LedgerUnavailable
from weir.domain.figures import FIGURES
from weir.domain.record import EXPIRED, Environment, Payload, Record
from weir.domain.retention import FOR_EVER, Retention
from weir.domain.totals import GroupField, Totals
from weir.ledger import payloads
from weir.ledger.keys import correction_blob_key, payload_blob_key
from weir.ledger.numbering import Numbering
from weir.ledger.ports import AnswerStore, BlobStore, Entry, Kept, RecordStore
from weir.ledger.spill import Spill

logger = logging.getLogger("weir.ledger")

INLINE_LIMIT = 100_000
"""Bytes of an encoded payload up to which it lies beside its record; a DynamoDB item ends at 400 KB."""

_OFF_LOOP = 65_536
"""Raw bytes from which compressing would hold up the event loop noticeably (about 1 ms), and which are large."""


_DAY = timedelta(days=1)
"""Before its time is over a payload is missed, not expired; clocks may differ by less than that."""


class Erased(NamedTuple):
    """How many of each were deleted."""

    records: int = 0
    blobs: int = 0
    spilled: int = 0


class Ledger:
    def __init__(
        self,
        records: RecordStore,
        blobs: BlobStore,
        inline_limit: int = INLINE_LIMIT,
        level: int = payloads.FAST,
        *,
        spill: Spill | None = None,
        retention: Retention = FOR_EVER,
        numbering: Numbering | None = None,
        answers: AnswerStore | None = None,
    ) -> None:
        """`level` is how hard payloads beside their records are compressed.

        `spill` takes what the record store refuses; `retention` says which payloads need not be there any more. Without
        a `numbering` nobody can tell what was accepted and not kept, without `answers` none is given twice.
        """
        self._retention = retention
        self.records, self.blobs, self.spill, self.answers = records, blobs, spill, answers
        self._inline_limit = inline_limit
        self._level = level
        self._numbering = numbering

    def without_spill(self) -> "Ledger":
        """The same, of the record store alone."""
        return Ledger(
            self.records,
            self.blobs,
            self._inline_limit,
            self._level,
            retention=self._retention,
            answers=self.answers,
        )

    async def claim(
        self, workspace: str, caller_id: str, id: str | None, *, instead_of: str | None = None
    ) -> str | None:
        """What the caller's id stands for now, see RecordStore.claim. Raises LedgerUnavailable."""
        return await asyncio.to_thread(lambda: self.records.claim(workspace, caller_id, id, instead_of=instead_of))

    async def keep(self, record: Record, payload: Payload, *, claimed: bool = False) -> Kept:
        """Returns when record and payload survive a crash: in the record store, or put aside where that refuses.

        Raises LedgerUnavailable when both refuse; then nothing is promised. `claimed`: the record's caller_id has been
        claimed for it. The record gets its `writer` here: from now on it would be missed.
        """
        if self._numbering is None:
            return await self._keep_somewhere(record, payload, claimed)
        number = self._numbering.next(record.workspace, record.application)
        kept = await self._keep_somewhere(replace(record, writer=number), payload, claimed)
        if not kept.new:
            self._numbering.give_back(record.workspace, record.application, number)
        return kept

    async def _keep_somewhere(self, record: Record, payload: Payload, claimed: bool) -> Kept:
        figures = FIGURES.get()
        begun = time.perf_counter() if figures is not None else 0.0
        try:
            return await self._keep(record, payload, claimed)
        except LedgerUnavailable as exc:
            return await self.put_aside(record, payload, exc)
        finally:
            if figures is not None:
                figures.store_s = max(figures.store_s or 0.0, time.perf_counter() - begun)

    async def put_aside(self, record: Record, payload: Payload, refusal: LedgerUnavailable) -> Kept:
        """Until the record store takes it. Raises the refusal where there is no such place, or that refuses too."""
        if self.spill is None:
            raise refusal
        try:
            kept = await asyncio.to_thread(self.spill.put, record, payload)
        except LedgerUnavailable as exc:
            raise refusal from exc
        if (figures := FIGURES.get()) is not None:
            figures.spilled += 1
        logger.warning("record put aside", extra={"record_id": kept.id, "reason": str(refusal)})
        return kept

    async def _keep(self, record: Record, payload: Payload, claimed: bool) -> Kept:
        size = len(payload.request) + len(payload.response or b"") + len(payload.reply or b"")
        if size < _OFF_LOOP:
            content = payloads.to_bytes(payload, self._level)
        else:
            content = await asyncio.to_thread(payloads.to_gzip, payload, self._level)
        if len(content) <= self._inline_limit:
            return await asyncio.wrap_future(self.records.submit(Entry(record, inline=content, claimed=claimed)))
        key = payload_blob_key(record.workspace, record.id)
        if size < _OFF_LOOP:  # where the limit is that low
            content = payloads.to_gzip(payload, self._level)
        await asyncio.to_thread(self.blobs.put, key, content)  # first: a record never points at nothing
        return await asyncio.wrap_future(self.records.submit(Entry(record, blob_key=key, claimed=claimed)))

    async def get(self, workspace: str, id: str) -> tuple[Record, Payload] | None:
        """By our id or by the one the caller chose, also while it is put aside."""
        return await asyncio.to_thread(self._get_anywhere, workspace, id)

    async def stored(self, workspace: str, id: str) -> tuple[Record, Payload] | None:
        """As `get`, from the record store alone, which costs no more where nothing is found."""
        return await asyncio.to_thread(self._get, workspace, id)

    async def newest(
        self, workspace: str, *, limit: int, before: str | None = None, since: str | None = None
    ) -> tuple[Record, ...]:
        return await asyncio.to_thread(lambda: self.records.newest(workspace, limit=limit, before=before, since=since))

    async def of_session(
        self, workspace: str, session_id: str, *, limit: int, after: str | None = None
    ) -> tuple[Record, ...]:
        """Ascending by id. Raises RequestInvalid without the index; so do the two below."""
        return await asyncio.to_thread(lambda: self.records.of_session(workspace, session_id, limit=limit, after=after))

    async def of_customer(
        self,
        workspace: str,
        customer_identifier: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        return await asyncio.to_thread(
            lambda: self.records.of_customer(workspace, customer_identifier, limit=limit, before=before, since=since)
        )

    async def of_intent(
        self,
        workspace: str,
        application: str,
        intent: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        return await asyncio.to_thread(
            lambda: self.records.of_intent(workspace, application, intent, limit=limit, before=before, since=since)
        )

    async def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        """The record as it is now, durably; None if there is none. Raises RequestInvalid or LedgerUnavailable."""
        return await asyncio.to_thread(self.records.annotate, workspace, id, annotation)

    async def correct(self, workspace: str, id: str, answer: bytes, at: datetime) -> Record | None:
        """Put `answer`, a JSON text, beside the record's own, in the place of an earlier correction.

        The record as it is now, durably; None if there is none. Raises LedgerUnavailable.
        """

        def correct() -> Record | None:
            entry = self.records.get(workspace, id)
            if entry is None:
                return None
            self.blobs.put(correction_blob_key(workspace, entry.record.id), gzip.compress(answer, mtime=0))
            return self.records.annotate(workspace, entry.record.id, Annotation(corrected_at=at))

        return await asyncio.to_thread(correct)

    async def correction(self, record: Record) -> bytes | None:
        """The corrected answer of a record that has one; it expires with the payload."""
        if record.corrected_at is None or self._has_expired(record, timedelta()):
            return None
        content = await asyncio.to_thread(self.blobs.get, correction_blob_key(record.workspace, record.id))
        if content is None:
            raise LedgerUnavailable("The record is there, its corrected answer cannot be found.")
        return gzip.decompress(content)

    async def totals(
        self,
        workspace: str,
        *,
        group_by: GroupField | None = None,
        before: str | None = None,
        since: str | None = None,
        environment: Environment | None = None,
    ) -> Mapping[str | None, Totals] | None:
        """None where the engine cannot sum without reading every record."""
        return await asyncio.to_thread(
            lambda: self.records.totals(
                workspace, group_by=group_by, before=before, since=since, environment=environment
            )
        )

    async def cached(self, workspace: str, key: str, at: datetime) -> bytes | None:
        """What `cache` has put there, unless it has expired by `at`. One read. Raises LedgerUnavailable."""
        if self.answers is None:
            return None
        return await asyncio.to_thread(self.answers.get, workspace, key, at)

    async def cache(self, record: Record, key: str, content: bytes, until: datetime) -> bool:
        """Let the same call find the answer to this one, no longer than its payload is kept. Raises LedgerUnavailable.

        Before the record is kept, with the key in it: what is in the cache without a record could not be erased. False
        when there is no cache.
        """
        if self.answers is None:
            return False
        expires = self._retention.expires(record.workspace, "payloads", record.created_at)
        until = until if expires is None else min(until, expires)
        await asyncio.to_thread(self.answers.put, record.workspace, key, content, until)
        return True

    async def uncache(self, workspace: str, key: str) -> None:
        """Raises LedgerUnavailable."""
        if self.answers is not None:
            await asyncio.to_thread(self.answers.delete, workspace, key)

    def erase(self, workspace: str, id: str) -> Erased:
        """Delete a record by our id, with its payload wherever it lies, also in the cache and put aside. Blocks.

        Raises LedgerUnavailable; then some of it may be gone, and it can be erased again.
        """
        entry = self.records.get(workspace, id)
        own = entry is not None and entry.record.id == id
        blobs = {payload_blob_key(workspace, id), correction_blob_key(workspace, id)} | (
            {entry.blob_key} if entry and own and entry.blob_key else set()
        )
        found = [key for key in sorted(blobs) if self.blobs.get_range(key, 0, 1) is not None]
        for key in found:
            self.blobs.delete(key)
        spilled = None if self.spill is None else self.spill.get(workspace, id)
        if self.answers is not None:  # the record last: it is what says where its answer was put
            kept = [found for found in (entry and entry.record, spilled and spilled[0]) if found and found.id == id]
            for cache_key in {found.cache_key for found in kept if found.cache_key is not None}:
                self.answers.delete(workspace, cache_key)
        record = self.records.delete(workspace, id)
        if self.spill is not None and spilled is not None and spilled[0].id == id:
            self.spill.delete(spilled[0])
        else:
            spilled = None
        return Erased(records=int(record), blobs=len(found), spilled=int(spilled is not None))

    def close(self) -> None:
        self.records.close()

    def _get_anywhere(self, workspace: str, id: str) -> tuple[Record, Payload] | None:
        try:
            found, refusal = self._get(workspace, id), None
        except LedgerUnavailable as exc:
            found, refusal = None, exc
        if found is None and self.spill is not None:
            found = self.spill.get(workspace, id)
        if found is None and refusal is not None:
            raise refusal
        return found

    def _has_expired(self, record: Record, early: timedelta) -> bool:
        expires = self._retention.expires(record.workspace, "payloads", record.created_at)
        return expires is not None and expires - early <= datetime.now(UTC)

    def _get(self, workspace: str, id: str) -> tuple[Record, Payload] | None:
        entry = self.records.get(workspace, id)
        if entry is None:
            return None
        if self._has_expired(entry.record, timedelta()):  # and may be still there: DynamoDB takes some days
            return entry.record, EXPIRED
        content = entry.inline
        if content is None and entry.blob_key is not None:
            content = self.blobs.get(entry.blob_key)
        if content is None and self._has_expired(entry.record, _DAY):
            return entry.record, EXPIRED
        if content is None:
            raise LedgerUnavailable("The record is there, its payload cannot be found.")
        return entry.record, payloads.from_bytes(content)
