"""The record store of one machine: SQLite with a write-ahead log, synchronous=FULL, and group commit.

One thread owns the writing connection. It takes everything that waits, commits it as one transaction (one fsync), and
only then resolves the futures: an acknowledged record is on the disk.
"""

import contextlib
import os
import queue
import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from weir.domain.annotation import Annotation, annotated
from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Record
from weir.ledger.items import from_item, to_item
from weir.ledger.ports import Entry, Kept

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    workspace TEXT NOT NULL, id TEXT NOT NULL, item BLOB NOT NULL, blob_key TEXT,
    PRIMARY KEY (workspace, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payloads (
    workspace TEXT NOT NULL, id TEXT NOT NULL, content BLOB NOT NULL, UNIQUE (workspace, id));
CREATE TABLE IF NOT EXISTS caller_ids (
    workspace TEXT NOT NULL, caller_id TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (workspace, caller_id)) WITHOUT ROWID;
"""
_LARGEST_BATCH = 512


class _Submitted(NamedTuple):
    entry: Entry
    item: bytes
    future: "Future[Kept]"


class SQLiteRecordStore:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._queue: queue.SimpleQueue[_Submitted | None] = queue.SimpleQueue()
        self._readers = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._closed = False
        writer = self._connect()
        writer.executescript(_SCHEMA)
        _sync_folder(path.parent)
        self._writer = threading.Thread(target=self._write, args=(writer,), name="ledger-writer", daemon=True)
        self._writer.start()

    def submit(self, entry: Entry) -> "Future[Kept]":
        future: Future[Kept] = Future()
        future.set_running_or_notify_cancel()  # who stops waiting does not stop the write
        item = to_item(entry.record)  # here, so that a record without a JSON form fails alone, not its whole batch
        with self._guard:
            if self._closed:
                future.set_exception(LedgerUnavailable("The ledger is closed."))
            else:
                self._queue.put(_Submitted(entry, item, future))
        return future

    def get(self, workspace: str, id: str) -> Entry | None:
        row = self._read(
            """SELECT r.item, r.blob_key, p.content FROM records r
               LEFT JOIN payloads p ON p.workspace = r.workspace AND p.id = r.id
               WHERE r.workspace = :workspace AND r.id = coalesce(
                   (SELECT c.id FROM caller_ids c WHERE c.workspace = :workspace AND c.caller_id = :id), :id)""",
            {"workspace": workspace, "id": id},
        )
        if not row:
            return None
        item, blob_key, content = row[0]
        return Entry(from_item(item), content, blob_key)

    def newest(self, workspace: str, *, limit: int, before: str | None = None) -> tuple[Record, ...]:
        rows = self._read(
            """SELECT item FROM records WHERE workspace = :workspace AND id < :before
               ORDER BY id DESC LIMIT :limit""",
            {"workspace": workspace, "before": before if before is not None else "g", "limit": limit},
        )
        return tuple(from_item(item) for (item,) in rows)

    def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        while row := self._read(
            """SELECT id, item FROM records WHERE workspace = :workspace AND id = coalesce(
                   (SELECT c.id FROM caller_ids c WHERE c.workspace = :workspace AND c.caller_id = :id), :id)""",
            {"workspace": workspace, "id": id},
        ):
            found, item = row[0]
            record = annotated(from_item(item), annotation)
            if self._read(
                "UPDATE records SET item = :new WHERE workspace = :workspace AND id = :id AND item = :old RETURNING id",
                {"workspace": workspace, "id": found, "old": item, "new": to_item(record)},
            ):
                return record
        return None

    def close(self) -> None:
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._writer.join()
        for connection in self._open:
            connection.close()

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self, sql: str, parameters: dict[str, object]) -> list[Any]:
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = self._connect()
        try:
            return connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as exc:
            raise LedgerUnavailable("The ledger cannot be read.") from exc

    def _connect(self) -> sqlite3.Connection:
        # One thread uses a connection at a time; only close() touches them all, after the writer has ended.
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        with self._guard:
            self._open.append(connection)
        return connection

    # -- writing ------------------------------------------------------------------------------------------------------

    def _write(self, connection: sqlite3.Connection) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            if batch:
                self._commit(connection, batch)

    def _next_batch(self) -> tuple[list[_Submitted], bool]:
        """Everything that waits, at least one entry; False with it when the store is closing."""
        batch: list[_Submitted] = []
        first = self._queue.get()
        while first is not None:
            batch.append(first)
            if len(batch) >= _LARGEST_BATCH:
                return batch, True
            try:
                first = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, connection: sqlite3.Connection, batch: list[_Submitted]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            kept = [_put(connection, submitted.entry, submitted.item) for submitted in batch]
            connection.execute("COMMIT")
        except sqlite3.Error as exc:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            for submitted in batch:
                refusal = LedgerUnavailable("The ledger cannot be written.")
                refusal.__cause__ = exc
                submitted.future.set_exception(refusal)
            return
        for submitted, result in zip(batch, kept, strict=True):
            submitted.future.set_result(result)


def _put(connection: sqlite3.Connection, entry: Entry, item: bytes) -> Kept:
    record = entry.record
    if record.caller_id is not None:
        claimed = connection.execute(
            "INSERT OR IGNORE INTO caller_ids VALUES (?, ?, ?)", (record.workspace, record.caller_id, record.id)
        )
        if not claimed.rowcount:  # claim and record are one transaction here, so the record is there too
            (id,) = connection.execute(
                "SELECT id FROM caller_ids WHERE workspace = ? AND caller_id = ?", (record.workspace, record.caller_id)
            ).fetchone()
            return Kept(id, new=False)
    put = connection.execute(
        "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)",
        (record.workspace, record.id, item, entry.blob_key),
    )
    if put.rowcount and entry.inline is not None:
        connection.execute("INSERT INTO payloads VALUES (?, ?, ?)", (record.workspace, record.id, entry.inline))
    return Kept(record.id, new=bool(put.rowcount))


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
