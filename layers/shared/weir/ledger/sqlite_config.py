"""Configuration on SQLite, in the same file as the records, which have their own writer thread and connections.

A connection lives as long as one operation: reads are cached by who asks, and writes are an operator's.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from weir.domain.errors import LedgerUnavailable
from weir.ledger.keys import VERSION_PREFIX
from weir.ledger.ports import ConfigEdit

_SCHEMA = """
CREATE TABLE IF NOT EXISTS configuration (
    workspace TEXT NOT NULL, key TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (workspace, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sequences (
    workspace TEXT NOT NULL, name TEXT NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (workspace, name)) WITHOUT ROWID;
"""
_WAIT_S = 30
"""For the records' writer, which holds the file for one transaction at a time."""


class SQLiteConfigStore:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        with self._connected("opened") as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)

    def get(self, workspace: str, *keys: str) -> dict[str, bytes]:
        with self._connected("read") as connection:
            found = {}
            for key in keys:
                row = connection.execute(
                    "SELECT content FROM configuration WHERE workspace = ? AND key = ?", (workspace, key)
                ).fetchone()
                if row is not None:
                    found[key] = row[0]
            return found

    def all(self, workspace: str) -> dict[str, bytes]:
        with self._connected("read") as connection:
            return dict(
                connection.execute(
                    "SELECT key, content FROM configuration WHERE workspace = ? AND substr(key, 1, 2) <> ?",
                    (workspace, VERSION_PREFIX),
                ).fetchall()
            )

    def put(self, workspace: str, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        with self._connected("written") as connection:
            return _put(connection, workspace, ConfigEdit(key, content, instead_of))

    def put_all(self, workspace: str, edits: Sequence[ConfigEdit], *, beside: Mapping[str, bytes]) -> bool:
        with self._connected("written") as connection:
            connection.execute("BEGIN IMMEDIATE")
            if not all(_put(connection, workspace, edit) for edit in edits):
                connection.execute("ROLLBACK")
                return False
            for key, content in beside.items():
                connection.execute("INSERT OR REPLACE INTO configuration VALUES (?, ?, ?)", (workspace, key, content))
            connection.execute("COMMIT")
            return True

    def next_number(self, workspace: str, sequence: str, *, limit: int | None = None) -> int | None:
        with self._connected("written") as connection:
            row = connection.execute(
                """INSERT INTO sequences VALUES (:workspace, :name, 1)
                   ON CONFLICT DO UPDATE SET last = last + 1 WHERE :limit IS NULL OR last < :limit
                   RETURNING last""",
                {"workspace": workspace, "name": sequence, "limit": limit},
            ).fetchone()
            return None if row is None else int(row[0])

    @contextmanager
    def _connected(self, verb: str) -> Iterator[sqlite3.Connection]:
        """A connection on which each statement is its own durable transaction, unless one is begun."""
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=_WAIT_S)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                yield connection
        except sqlite3.Error as exc:
            raise LedgerUnavailable(f"The configuration cannot be {verb}.") from exc


def _put(connection: sqlite3.Connection, workspace: str, edit: ConfigEdit) -> bool:
    if edit.instead_of is None:
        put = connection.execute(
            "INSERT OR IGNORE INTO configuration VALUES (?, ?, ?)", (workspace, edit.key, edit.content)
        )
    else:
        put = connection.execute(
            "UPDATE configuration SET content = ? WHERE workspace = ? AND key = ? AND content = ?",
            (edit.content, workspace, edit.key, edit.instead_of),
        )
    return bool(put.rowcount)
