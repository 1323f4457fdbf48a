"""The change feed of one machine: a table that is written in the transaction of the record itself.

What has been projected is deleted, so the table is the feed's cursor: after a crash it holds what is left to do, and
perhaps some that is done, which counts once all the same.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from weir.ledger.changes import Change, DeadLetter
from weir.ledger.items import from_item
from weir.ledger.keys import hour_of
from weir.ledger.ports import BlobStore
from weir.ledger.sqlite import SQLiteRecordStore

_NEXT = """
SELECT c.number, c.workspace, c.id, r.item, r.blob_key, p.content
FROM (SELECT * FROM changes ORDER BY number LIMIT ?) c
LEFT JOIN records r ON r.workspace = c.workspace AND r.id = c.id
LEFT JOIN payloads p ON p.workspace = c.workspace AND p.id = c.id
ORDER BY c.number
"""
_ONE = """
SELECT 0, ?1, ?2, r.item, r.blob_key, p.content FROM (SELECT 1)
LEFT JOIN records r ON r.workspace = ?1 AND r.id = ?2
LEFT JOIN payloads p ON p.workspace = ?1 AND p.id = ?2
"""
_UNSETTLED = """
SELECT id FROM changes WHERE workspace = ?1 UNION ALL SELECT id FROM dead_letters WHERE workspace = ?1 LIMIT ?2
"""
_MOST_PENDING = 20_000
"""Changes that are looked through for their hours."""


class SQLiteChangeFeed:
    def __init__(self, records: SQLiteRecordStore, blobs: BlobStore) -> None:
        self._records = records
        self._blobs = blobs

    def next(self, limit: int) -> list[Change]:
        """The oldest; the same again until they are done."""
        return [self._change(*row) for row in self._records.read(_NEXT, [limit])]

    def find(self, workspace: str, id: str) -> Change:
        """The record as it is now, as if it had just changed."""
        return self._change(*self._records.read(_ONE, [workspace, id])[0])

    def done(self, changes: Collection[Change]) -> None:
        if changes:
            self._records.write(partial(_delete, numbers=[int(change.token) for change in changes])).result()

    def bury(self, reasons: Mapping[str, str]) -> None:
        """Set changes aside, by token, each with its reason."""
        if reasons:
            self._records.write(partial(_bury, reasons=reasons)).result()

    def latest(self) -> int:
        """The number of the last change there ever was."""
        rows = self._records.read("SELECT seq FROM sqlite_sequence WHERE name = 'changes'", [])
        return int(rows[0][0]) if rows else 0

    def pending(self) -> int:
        """Changes that are not projected yet, those set aside not among them."""
        ((count,),) = self._records.read("SELECT count(*) FROM changes", [])
        return int(count)

    def oldest(self) -> str | None:
        """The id of the record that has waited longest."""
        rows = self._records.read("SELECT id FROM changes ORDER BY number LIMIT 1", [])
        return rows[0][0] if rows else None

    def unsettled(self, workspace: str, first: str, last: str) -> frozenset[str] | None:
        """Those of the hours from `first` to `last` whose rollups may lack records; None if too many are waiting."""
        ids = self._records.read(_UNSETTLED, [workspace, _MOST_PENDING + 1])
        if len(ids) > _MOST_PENDING:
            return None
        return frozenset(hour for (id,) in ids if first <= (hour := hour_of(id)) <= last)

    def _change(
        self, number: int, workspace: str, id: str, item: bytes | None, blob_key: str | None, content: bytes | None
    ) -> Change:
        read: Callable[[], bytes | None] = (lambda: content) if blob_key is None else partial(self._blobs.get, blob_key)
        return Change(str(number), workspace, id, lambda: None if item is None else from_item(item), read)


class SQLiteDeadLetters:
    def __init__(self, records: SQLiteRecordStore) -> None:
        self._records = records

    def count(self) -> int:
        ((count,),) = self._records.read("SELECT count(*) FROM dead_letters", [])
        return int(count)

    def read(self, limit: int) -> Sequence[DeadLetter]:
        rows = self._records.read(
            "SELECT number, workspace, id, reason FROM dead_letters ORDER BY number LIMIT ?", [limit]
        )
        return [DeadLetter(str(number), workspace, id, reason) for number, workspace, id, reason in rows]

    def remove(self, letter: DeadLetter) -> None:
        self._records.write(partial(_remove, number=int(letter.token))).result()


def _delete(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    connection.executemany("DELETE FROM changes WHERE number = ?", [(number,) for number in numbers])


def _bury(connection: sqlite3.Connection, reasons: Mapping[str, str]) -> None:
    for token, reason in reasons.items():
        connection.execute(
            """INSERT INTO dead_letters (workspace, id, reason)
               SELECT workspace, id, ? FROM changes WHERE number = ?""",
            (reason, int(token)),
        )
    _delete(connection, [int(token) for token in reasons])


def _remove(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM dead_letters WHERE number = ?", (number,))
