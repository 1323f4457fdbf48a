"""A runtime whose record store counts what is read of it, and refuses what it is told to."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Any

from weir.domain.annotation import Annotation
from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Record
from weir.domain.retention import Retention
from weir.domain.totals import Totals
from weir.ledger.files import FileBlobStore
from weir.ledger.ledger import Ledger
from weir.ledger.ports import Entry, Kept, RecordStore
from weir.ledger.sqlite import SQLiteRecordStore
from weir.runtime.bootstrap import Runtime


class Watched:
    """`sums` False is an engine that cannot sum. Records of the model `full` are refused."""

    def __init__(self, store: RecordStore, *, sums: bool = True) -> None:
        self._store = store
        self._sums = sums
        self.reads: list[int] = []

    def submit(self, entry: Entry) -> "Future[Kept]":
        if entry.record.model != "full":
            return self._store.submit(entry)
        refused: Future[Kept] = Future()
        refused.set_exception(LedgerUnavailable("The ledger cannot be written."))
        return refused

    def get(self, workspace: str, id: str) -> Entry | None:
        return self._store.get(workspace, id)

    def claim(self, workspace: str, caller_id: str, id: str | None, *, instead_of: str | None = None) -> str | None:
        return self._store.claim(workspace, caller_id, id, instead_of=instead_of)

    def newest(self, workspace: str, **bounds: Any) -> tuple[Record, ...]:
        found = self._store.newest(workspace, **bounds)
        self.reads.append(len(found))
        return found

    def of_session(self, workspace: str, session_id: str, **bounds: Any) -> tuple[Record, ...]:
        return self._store.of_session(workspace, session_id, **bounds)

    def of_customer(self, workspace: str, customer_identifier: str, **bounds: Any) -> tuple[Record, ...]:
        found = self._store.of_customer(workspace, customer_identifier, **bounds)
        self.reads.append(len(found))
        return found

    def of_intent(self, workspace: str, application: str, intent: str, **bounds: Any) -> tuple[Record, ...]:
        return self._store.of_intent(workspace, application, intent, **bounds)

    def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        return self._store.annotate(workspace, id, annotation)

    def delete(self, workspace: str, id: str) -> bool:
        return self._store.delete(workspace, id)

    def expire(self, retention: Retention, now: datetime, **options: Any) -> int:
        return self._store.expire(retention, now, **options)

    def totals(self, workspace: str, **asked: Any) -> Mapping[str | None, Totals] | None:
        return self._store.totals(workspace, **asked) if self._sums else None

    def close(self) -> None:
        self._store.close()

    def read(self) -> int:
        """Records read since the last time this was asked."""
        count = sum(self.reads)
        self.reads.clear()
        return count


def watched(runtime: Runtime, *, sums: bool = True) -> tuple[Runtime, Watched]:
    """The same runtime over a second view of its ledger. Close the ledger when done."""
    folder = runtime.settings.data_dir
    store = Watched(SQLiteRecordStore(folder / "ledger.sqlite"), sums=sums)
    return replace(runtime, ledger=Ledger(store, FileBlobStore(folder / "blobs"))), store
