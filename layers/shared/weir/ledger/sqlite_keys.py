"""API keys on SQLite, in the same file as the records.

A connection lives as long as one operation: reads are cached by who asks, and writes are few.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from weir.domain.api_key import ApiKey
from weir.domain.errors import Conflict, LedgerUnavailable
from weir.domain.ids import milliseconds
from weir.ledger.key_items import from_item, to_item

_SCHEMA = """
CREATE TABLE IF NOT EXISTS api_keys (
    id TEXT PRIMARY KEY, workspace TEXT NOT NULL, created INTEGER NOT NULL, item BLOB NOT NULL,
    revoked INTEGER, used INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS api_keys_of_a_workspace ON api_keys (workspace, created);
"""
_WAIT_S = 30
"""For the records' writer, which holds the file for one transaction at a time."""


class SQLiteKeyStore:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        with self._connected("opened") as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)

    def find(self, id: str) -> ApiKey | None:
        with self._connected("read") as connection:
            return _found(connection, id)

    def add(self, key: ApiKey) -> bool:
        with self._connected("written") as connection:
            put = connection.execute(
                """INSERT OR IGNORE INTO api_keys VALUES (?, ?, ?, ?, NULL, NULL)
                   RETURNING NOT EXISTS (SELECT 1 FROM api_keys a WHERE a.workspace = ?2 AND a.id <> ?1)""",
                (key.id, key.workspace, milliseconds(key.created_at), to_item(key)),
            ).fetchone()
        if put is None:
            raise Conflict("There is a key of that id already.")
        return bool(put[0])

    def revoke(self, id: str, at: datetime) -> ApiKey | None:
        with self._connected("written") as connection:
            connection.execute(
                "UPDATE api_keys SET revoked = ?2 WHERE id = ?1 AND (revoked IS NULL OR revoked > ?2)",
                (id, milliseconds(at)),
            )
            return _found(connection, id)

    def note_use(self, id: str, at: datetime) -> None:
        with self._connected("written") as connection:
            connection.execute(
                "UPDATE api_keys SET used = ?2 WHERE id = ?1 AND (used IS NULL OR used < ?2)", (id, milliseconds(at))
            )

    def of(self, workspace: str) -> tuple[ApiKey, ...]:
        with self._connected("read") as connection:
            rows = connection.execute(
                "SELECT item, revoked, used FROM api_keys WHERE workspace = ? ORDER BY created, id", (workspace,)
            )
            return tuple(from_item(*row) for row in rows)

    def workspaces(self) -> tuple[str, ...]:
        with self._connected("read") as connection:
            rows = connection.execute("SELECT DISTINCT workspace FROM api_keys ORDER BY workspace")
            return tuple(workspace for (workspace,) in rows)

    @contextmanager
    def _connected(self, verb: str) -> Iterator[sqlite3.Connection]:
        """A connection on which each statement is its own durable transaction."""
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=_WAIT_S)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                yield connection
        except sqlite3.Error as exc:
            raise LedgerUnavailable(f"The API keys cannot be {verb}.") from exc


def _found(connection: sqlite3.Connection, id: str) -> ApiKey | None:
    row: Any = connection.execute("SELECT item, revoked, used FROM api_keys WHERE id = ?", (id,)).fetchone()
    return None if row is None else from_item(*row)
