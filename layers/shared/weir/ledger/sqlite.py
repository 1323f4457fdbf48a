"""The record store of one machine: SQLite with a write-ahead log, synchronous=FULL, and group commit.

One thread owns the writing connection. It takes everything that waits, commits it as one transaction (one fsync), and
only then resolves the futures: an acknowledged record is on the disk.
"""

import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from weir.domain.annotation import Annotation, annotated
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import milliseconds, uuid7
from weir.domain.record import Environment, Record
from weir.domain.retention import Retention
from weir.domain.totals import GroupField, Totals
from weir.ledger import sqlite_writes
from weir.ledger.items import from_item, to_item
from weir.ledger.keys import INDEXES, Index, require_index
from weir.ledger.ports import Entry, Kept
from weir.ledger.sqlite_schema import migrate

_GET = """
SELECT r.id, r.item, r.blob_key, p.content FROM records r
LEFT JOIN payloads p ON p.workspace = r.workspace AND p.id = r.id
WHERE r.workspace = :workspace AND r.id IN (
    (SELECT c.id FROM caller_ids c WHERE c.workspace = :workspace AND c.caller_id = :id), :id)
ORDER BY r.id = :id LIMIT 1
"""
"""What the caller's id stands for comes first; it may be a record that is yet to come."""

_NEWEST = """
SELECT item FROM records WHERE workspace = :workspace AND id < :before AND id >= :since ORDER BY id DESC LIMIT :limit
"""
_OF_SESSION = """
SELECT item FROM records INDEXED BY records_session
WHERE workspace = :workspace AND session_id = :session_id AND id > :after ORDER BY id LIMIT :limit
"""
_OF_CUSTOMER = """
SELECT item FROM records INDEXED BY records_customer
WHERE workspace = :workspace AND customer_identifier = :customer_identifier AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit
"""
_OF_INTENT = """
SELECT item FROM records INDEXED BY records_intent
WHERE workspace = :workspace AND application = :application AND intent = :intent AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit
"""
_TOTALS = """
SELECT key, count(*), total(outcome <> 'complete'), count(cost), total(round(cost * 1e12)),
    count(prompt), total(prompt), total(completion), total(cached),
    count(latency), total(latency), count(first_token), total(first_token),
    count(speed), total(speed)
FROM (SELECT *, coalesce(claimed_speed, CASE WHEN latency > 0 THEN completion * 1000.0 / latency END) speed
    FROM (SELECT json_extract(item, :field) key,
            json_extract(item, '$.environment') environment,
            json_extract(item, '$.outcome') outcome,
            coalesce(json_extract(item, '$.claimed_cost'), json_extract(item, '$.computed_cost')) cost,
            json_extract(item, '$.claimed_usage.prompt') prompt,
            json_extract(item, '$.claimed_usage.completion') completion,
            json_extract(item, '$.claimed_usage.cached') cached,
            json_extract(item, '$.latency_ms') latency,
            json_extract(item, '$.first_token_ms') first_token,
            json_extract(item, '$.tokens_per_second') claimed_speed
        FROM (SELECT CAST(item AS TEXT) item FROM records
            WHERE workspace = :workspace AND id < :before AND id >= :since)))
WHERE :environment IS NULL OR environment = :environment
GROUP BY key
"""
"""total() is a floating point sum: no count of tokens that somebody claims can make it fail.

Costs are summed as whole trillionths of a dollar: exactly up to 9,007 dollars, and beyond off by less than one a row.
"""
_LARGEST_BATCH = 512
_COST_PLACES = 12
"""As many as _TOTALS multiplies by."""


class _Work(NamedTuple):
    """What is to be written in one transaction with others; `future` gets its result when that is on the disk.

    `apply` raises nothing but sqlite3's errors: it runs in the thread that everybody waits for.
    """

    apply: Callable[[sqlite3.Connection], Any]
    future: "Future[Any]"


class SQLiteRecordStore:
    def __init__(self, path: Path, *, indexes: frozenset[Index] = INDEXES) -> None:
        """Raises LedgerUnavailable if the file cannot be opened, or is something else."""
        self._path = path
        self._indexes = indexes
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._readers = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            writer = self._connect()
            migrate(writer)
            _sync_folder(path.parent)
        except (OSError, sqlite3.Error) as exc:
            for connection in self._open:
                connection.close()
            raise LedgerUnavailable(f"The ledger {path} cannot be opened: {exc}.") from exc
        self._writer = threading.Thread(target=self._write, args=(writer,), name="ledger-writer", daemon=True)
        self._writer.start()

    def submit(self, entry: Entry) -> "Future[Kept]":
        item = to_item(entry.record)  # here, so that a record without a JSON form fails alone, not its whole batch
        return self.write(partial(sqlite_writes.put, entry=entry, item=item, indexed=self._indexed(entry.record)))

    def claim(self, workspace: str, caller_id: str, id: str | None, *, instead_of: str | None = None) -> str | None:
        claimed: Future[str | None] = self.write(
            partial(sqlite_writes.claim, workspace=workspace, caller_id=caller_id, id=id, instead_of=instead_of)
        )
        return claimed.result()

    def get(self, workspace: str, id: str) -> Entry | None:
        row = self.read(_GET, {"workspace": workspace, "id": id})
        if not row:
            return None
        _, item, blob_key, content = row[0]
        return Entry(from_item(item), content, blob_key)

    def newest(
        self, workspace: str, *, limit: int, before: str | None = None, since: str | None = None
    ) -> tuple[Record, ...]:
        return self._records(_NEWEST, {**_window(workspace, before, since), "limit": limit})

    def of_session(
        self, workspace: str, session_id: str, *, limit: int, after: str | None = None
    ) -> tuple[Record, ...]:
        require_index("session", self._indexes)
        asked = {"workspace": workspace, "session_id": session_id, "after": after or "", "limit": limit}
        return self._records(_OF_SESSION, asked)

    def of_customer(
        self,
        workspace: str,
        customer_identifier: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        require_index("customer", self._indexes)
        asked = {"customer_identifier": customer_identifier, "limit": limit}
        return self._records(_OF_CUSTOMER, _window(workspace, before, since) | asked)

    def of_intent(
        self,
        workspace: str,
        application: str,
        intent: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        require_index("intent", self._indexes)
        asked = {"application": application, "intent": intent, "limit": limit}
        return self._records(_OF_INTENT, _window(workspace, before, since) | asked)

    def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        while rows := self.read(_GET, {"workspace": workspace, "id": id}):
            found, item = rows[0][:2]
            before = from_item(item)
            record = annotated(before, annotation)
            indexed = self._indexed(record)
            moved = indexed if indexed != self._indexed(before) else None
            replaced: Future[bool] = self.write(
                partial(
                    sqlite_writes.replace, workspace=workspace, id=found, old=item, new=to_item(record), moved=moved
                )
            )
            if replaced.result():  # else somebody else changed it in the meantime, and so came further than we
                return record
        return None

    def delete(self, workspace: str, id: str) -> bool:
        deleted: Future[bool] = self.write(partial(sqlite_writes.delete, workspace=workspace, id=id))
        return deleted.result()

    def expire(self, retention: Retention, now: datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
        expired = 0
        for workspace in self._workspaces():
            for clock, expire in sqlite_writes.EXPIRIES:
                days = retention.days(workspace, clock)
                if days is None:
                    continue
                before = uuid7(milliseconds(now - timedelta(days=days)), 0)
                some = sqlite_writes.EXPIRED_AT_ONCE
                while go_on() and some == sqlite_writes.EXPIRED_AT_ONCE:
                    some = self.write(partial(expire, workspace=workspace, before=before)).result()
                    expired += some
        return expired

    def totals(
        self,
        workspace: str,
        *,
        group_by: GroupField | None = None,
        before: str | None = None,
        since: str | None = None,
        environment: Environment | None = None,
    ) -> Mapping[str | None, Totals]:
        field = f"$.{group_by}" if group_by is not None else "$.no_such_field"
        rows = self.read(_TOTALS, {**_window(workspace, before, since), "field": field, "environment": environment})
        return {row[0]: _totals(*row[1:]) for row in rows}

    def close(self) -> None:
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._writer.join()
        for connection in self._open:
            connection.close()

    def _records(self, sql: str, parameters: dict[str, object]) -> tuple[Record, ...]:
        return tuple(from_item(item) for (item,) in self.read(sql, parameters))

    def _indexed(self, record: Record) -> tuple[str | None, ...]:
        """The columns that are there for the indexes alone."""
        return (
            record.session_id if "session" in self._indexes else None,
            record.customer_identifier if "customer" in self._indexes else None,
            record.application if "intent" in self._indexes else None,
            record.intent if "intent" in self._indexes else None,
        )

    def _workspaces(self) -> Iterator[str]:
        """One look in the index for each."""
        ((workspace,),) = self.read("SELECT min(workspace) FROM records", {})
        while workspace is not None:
            yield workspace
            sql = "SELECT min(workspace) FROM records WHERE workspace > :workspace"
            ((workspace,),) = self.read(sql, {"workspace": workspace})

    def write(self, apply: Callable[[sqlite3.Connection], Any]) -> "Future[Any]":
        """`apply` in a transaction with whatever else is to be written; it raises nothing but sqlite3's errors."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # who stops waiting does not stop the write
        with self._guard:
            if self._closed:
                future.set_exception(LedgerUnavailable("The ledger is closed."))
            else:
                self._queue.put(_Work(apply, future))
        return future

    def read(self, sql: str, parameters: dict[str, object] | Sequence[object]) -> list[Any]:
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
        with self._guard:
            self._open.append(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _write(self, connection: sqlite3.Connection) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            if batch:
                self._commit(connection, batch)

    def _next_batch(self) -> tuple[list[_Work], bool]:
        """Everything that waits, at least one piece; False with it when the store is closing."""
        batch: list[_Work] = []
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

    def _commit(self, connection: sqlite3.Connection, batch: list[_Work]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [work.apply(connection) for work in batch]
            connection.execute("COMMIT")
        except sqlite3.Error as exc:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            for work in batch:
                unavailable = LedgerUnavailable("The ledger cannot be written.")
                unavailable.__cause__ = exc
                work.future.set_exception(unavailable)
            return
        for work, result in zip(batch, results, strict=True):
            work.future.set_result(result)


def _window(workspace: str, before: str | None, since: str | None) -> dict[str, object]:
    # Every id is below "g", and none below the empty text.
    return {"workspace": workspace, "before": before if before is not None else "g", "since": since or ""}


def _totals(
    records: int, errors: float, priced: int, cost: float, counted: int, prompt: float, completion: float,
    cached: float, timed: int, latency: float, first_token_timed: int, first_token: float, speeds: int, speed: float,
) -> Totals:  # fmt: skip
    return Totals(
        records=records,
        errors=int(errors),
        priced=priced,
        cost=Decimal(round(cost)).scaleb(-_COST_PLACES),
        counted=counted,
        prompt_tokens=int(prompt),
        completion_tokens=int(completion),
        cached_tokens=int(cached),
        timed=timed,
        latency_ms=latency,
        first_token_timed=first_token_timed,
        first_token_ms=first_token,
        speeds=speeds,
        speed=speed,
    )


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
