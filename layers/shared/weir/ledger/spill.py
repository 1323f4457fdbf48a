"""Records that the record store refused, put aside in the blob store until they are driven back.

    spill/<workspace>/records/<id>.json.gz       the record and its payload, as a line of the archive
    spill/<workspace>/callers/c=<caller's id>    the id that was put aside for a caller's id, first and conditionally

A record is put aside once, like it is kept once: two attempts with the same caller's id are one. What packs it is
imported when it is first needed: a function's start does without.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from weir.domain.ids import instant_of, is_uuid7
from weir.domain.record import Payload, Record
from weir.ledger.keys import SPILL, spilled_caller_key, spilled_record_key
from weir.ledger.ports import BlobStore, Kept

_SUFFIX = ".json.gz"

logger = logging.getLogger("weir.ledger")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be driven back."""

    count: int
    oldest: datetime | None


class Spill:
    """Every method raises LedgerUnavailable when the blob store refuses."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def put(self, record: Record, payload: Payload) -> Kept:
        """Durable when it returns."""
        if record.caller_id is not None:
            claim = spilled_caller_key(record.workspace, record.caller_id)
            if not self._blobs.put_new(claim, record.id.encode()):
                id = (self._blobs.get(claim) or record.id.encode()).decode()
                record = replace(record, id=id, created_at=instant_of(id))
        from weir.ledger.archive_format import Call, pack_line, to_line

        content = pack_line(to_line(Call(record, payload)))
        return Kept(record.id, new=self._blobs.put_new(spilled_record_key(record.workspace, record.id), content))

    def get(self, workspace: str, id: str) -> tuple[Record, Payload] | None:
        """By our id or by the caller's."""
        claimed = self._blobs.get(spilled_caller_key(workspace, id))
        found = None if claimed is None else self._read(spilled_record_key(workspace, claimed.decode()))
        if found is None and is_uuid7(id):
            found = self._read(spilled_record_key(workspace, id))
        return found

    def backlog(self) -> Backlog:
        """Over all workspaces."""
        ids = [id for key in self._blobs.list(SPILL) if (id := _id_of(key)) is not None]
        return Backlog(len(ids), instant_of(min(ids)) if ids else None)

    def waiting(self, folder: str = SPILL) -> Iterator[tuple[Record, Payload]]:
        """What was put aside, the oldest of a workspace first, a record in memory at a time.

        What is being deleted meanwhile is left out. What cannot be read is logged and stays where it is.
        """
        from weir.ledger.archive_format import Broken

        for key in self._blobs.list(folder):
            try:
                found = None if _id_of(key) is None else self._read(key)
            except Broken as exc:
                logger.error("unreadable record put aside", extra={"reason": str(exc)})
                continue
            if found is not None:
                yield found

    def delete(self, record: Record) -> None:
        """Nothing is left of it, nor of what its caller's id stood for."""
        self._blobs.delete(spilled_record_key(record.workspace, record.id))
        if record.caller_id is not None:
            claim = spilled_caller_key(record.workspace, record.caller_id)
            if self._blobs.get(claim) == record.id.encode():
                self._blobs.delete(claim)

    def _read(self, key: str) -> tuple[Record, Payload] | None:
        from weir.ledger.archive_format import Broken, Call, from_line, unpack_line

        content = self._blobs.get(key)
        if content is None:
            return None
        try:
            match from_line(unpack_line(content)):
                case Call(record, Payload() as payload):
                    return record, payload
                case _:
                    raise Broken("is no call with its payload")
        except Broken as exc:
            raise Broken(f"{key} {exc}") from exc


def _id_of(key: str) -> str | None:
    """The id of the record that lies under a key; None if it is another kind of key."""
    folder, _, name = key.rpartition("/")
    id = name.removesuffix(_SUFFIX)
    return id if folder.endswith("/records") and is_uuid7(id) else None
