"""The ledger as the services use it: keep a record with its payload, read it back, list."""

import asyncio
import gzip
from collections.abc import Mapping
from datetime import datetime

from weir.domain.annotation import Annotation
from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Environment, Payload, Record
from weir.domain.totals import GroupField, Totals
from weir.ledger import payloads
from weir.ledger.keys import correction_blob_key, payload_blob_key
from weir.ledger.ports import BlobStore, Entry, Kept, RecordStore

INLINE_LIMIT = 100_000
"""Bytes of an encoded payload up to which it lies beside its record; a DynamoDB item ends at 400 KB."""

_OFF_LOOP = 65_536
"""Raw bytes from which compressing would hold up the event loop noticeably (about 1 ms)."""


class Ledger:
    def __init__(self, records: RecordStore, blobs: BlobStore, inline_limit: int = INLINE_LIMIT) -> None:
        self._records = records
        self._blobs = blobs
        self._inline_limit = inline_limit

    async def claim(
        self, workspace: str, caller_id: str, id: str | None, *, instead_of: str | None = None
    ) -> str | None:
        """What the caller's id stands for now, see RecordStore.claim. Raises LedgerUnavailable."""
        return await asyncio.to_thread(lambda: self._records.claim(workspace, caller_id, id, instead_of=instead_of))

    async def keep(self, record: Record, payload: Payload, *, claimed: bool = False) -> Kept:
        """Returns when record and payload survive a crash. Raises LedgerUnavailable; then nothing is promised.

        `claimed`: the record's caller_id has been claimed for it.
        """
        size = len(payload.request) + len(payload.response or b"") + len(payload.reply or b"")
        if size < _OFF_LOOP:
            content = payloads.to_bytes(payload)
        else:
            content = await asyncio.to_thread(payloads.to_bytes, payload)
        if len(content) <= self._inline_limit:
            return await asyncio.wrap_future(self._records.submit(Entry(record, inline=content, claimed=claimed)))
        key = payload_blob_key(record.workspace, record.id)
        await asyncio.to_thread(self._blobs.put, key, content)  # first: a record never points at nothing
        return await asyncio.wrap_future(self._records.submit(Entry(record, blob_key=key, claimed=claimed)))

    async def get(self, workspace: str, id: str) -> tuple[Record, Payload] | None:
        """By our id or by the one the caller chose."""
        return await asyncio.to_thread(self._get, workspace, id)

    async def newest(
        self, workspace: str, *, limit: int, before: str | None = None, since: str | None = None
    ) -> tuple[Record, ...]:
        return await asyncio.to_thread(lambda: self._records.newest(workspace, limit=limit, before=before, since=since))

    async def of_session(
        self, workspace: str, session_id: str, *, limit: int, after: str | None = None
    ) -> tuple[Record, ...]:
        """Ascending by id. Raises RequestInvalid without the index; so do the two below."""
        return await asyncio.to_thread(
            lambda: self._records.of_session(workspace, session_id, limit=limit, after=after)
        )

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
            lambda: self._records.of_customer(workspace, customer_identifier, limit=limit, before=before, since=since)
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
            lambda: self._records.of_intent(workspace, application, intent, limit=limit, before=before, since=since)
        )

    async def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        """The record as it is now, durably; None if there is none. Raises RequestInvalid or LedgerUnavailable."""
        return await asyncio.to_thread(self._records.annotate, workspace, id, annotation)

    async def correct(self, workspace: str, id: str, answer: bytes, at: datetime) -> Record | None:
        """Put `answer`, a JSON text, beside the record's own, in the place of an earlier correction.

        The record as it is now, durably; None if there is none. Raises LedgerUnavailable.
        """

        def correct() -> Record | None:
            entry = self._records.get(workspace, id)
            if entry is None:
                return None
            self._blobs.put(correction_blob_key(workspace, entry.record.id), gzip.compress(answer, mtime=0))
            return self._records.annotate(workspace, entry.record.id, Annotation(corrected_at=at))

        return await asyncio.to_thread(correct)

    async def correction(self, record: Record) -> bytes | None:
        """The corrected answer of a record that has one."""
        if record.corrected_at is None:
            return None
        content = await asyncio.to_thread(self._blobs.get, correction_blob_key(record.workspace, record.id))
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
            lambda: self._records.totals(
                workspace, group_by=group_by, before=before, since=since, environment=environment
            )
        )

    def close(self) -> None:
        self._records.close()

    def _get(self, workspace: str, id: str) -> tuple[Record, Payload] | None:
        entry = self._records.get(workspace, id)
        if entry is None:
            return None
        content = entry.inline
        if content is None and entry.blob_key is not None:
            content = self._blobs.get(entry.blob_key)
        if content is None:
            raise LedgerUnavailable("The record is there, its payload cannot be found.")
        return entry.record, payloads.from_bytes(content)
