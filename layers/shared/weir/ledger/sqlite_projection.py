"""What is derived from the archive, in the records' SQLite file, written by the records' writer thread.

A second writer would have to wait for the first in sqlite3's own way, which is to sleep and try again.
"""

import sqlite3
from collections.abc import Collection, Sequence
from functools import partial

from weir.ledger.keys import Key
from weir.ledger.ports import Replacement
from weir.ledger.sqlite import SQLiteRecordStore

_AT_ONCE = 400
"""Keys of one statement; sqlite3 takes 32,766 parameters, older ones 999."""


class SQLiteProjectionStore:
    def __init__(self, records: SQLiteRecordStore) -> None:
        self._records = records

    def get(self, keys: Collection[Key]) -> dict[Key, bytes]:
        wanted = list(keys)
        found: dict[Key, bytes] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            rows = self._records.read(
                f"""SELECT pk, sk, content FROM projections
                    WHERE (pk, sk) IN (VALUES {", ".join(["(?, ?)"] * len(some))})""",  # noqa: S608 - placeholders
                [part for key in some for part in key],
            )
            found |= {Key(pk, sk): content for pk, sk, content in rows}
        return found

    def between(
        self, pk: str, first: str, last: str, *, limit: int | None = None, descending: bool = False
    ) -> list[tuple[str, bytes]]:
        order = "DESC" if descending else "ASC"
        return self._records.read(
            f"""SELECT sk, content FROM projections WHERE pk = ? AND sk BETWEEN ? AND ?
                ORDER BY sk {order} LIMIT ?""",  # noqa: S608 - one of two words
            [pk, first, last, -1 if limit is None else limit],
        )

    def replace(self, changes: Sequence[Replacement]) -> list[bool]:
        if not changes:
            return []
        replaced: list[bool] = self._records.write(partial(_replace, changes=changes)).result()
        return replaced


def _replace(connection: sqlite3.Connection, changes: Sequence[Replacement]) -> list[bool]:
    return [bool(_replace_one(connection, *change).rowcount) for change in changes]


def _replace_one(connection: sqlite3.Connection, key: Key, old: bytes | None, new: bytes | None) -> sqlite3.Cursor:
    if old is None:
        return connection.execute("INSERT OR IGNORE INTO projections VALUES (?, ?, ?)", (*key, new))
    if new is None:
        return connection.execute("DELETE FROM projections WHERE pk = ? AND sk = ? AND content = ?", (*key, old))
    return connection.execute(
        "UPDATE projections SET content = ? WHERE pk = ? AND sk = ? AND content = ?", (new, *key, old)
    )
