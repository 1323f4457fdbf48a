"""Answers that may be given again, in the records' SQLite file, written by the records' writer thread."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from functools import partial

from weir.domain.ids import milliseconds
from weir.ledger.sqlite import SQLiteRecordStore

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS answers (
        workspace TEXT NOT NULL, key TEXT NOT NULL, expires INTEGER NOT NULL, content BLOB NOT NULL,
        UNIQUE (workspace, key))""",
    "CREATE INDEX IF NOT EXISTS answers_expire ON answers (expires)",
)
_EXPIRED_AT_ONCE = 200


class SQLiteAnswerStore:
    def __init__(self, records: SQLiteRecordStore) -> None:
        self._records = records
        records.write(_create).result()

    def get(self, workspace: str, key: str, at: datetime) -> bytes | None:
        rows = self._records.read(
            "SELECT content FROM answers WHERE workspace = ? AND key = ? AND expires > ?",
            (workspace, key, milliseconds(at)),
        )
        return rows[0][0] if rows else None

    def put(self, workspace: str, key: str, content: bytes, expires: datetime) -> None:
        row = (workspace, key, milliseconds(expires), content)
        self._records.write(partial(_execute, "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)).result()

    def delete(self, workspace: str, key: str) -> None:
        where = "DELETE FROM answers WHERE workspace = ? AND key = ?"
        self._records.write(partial(_execute, where, (workspace, key))).result()

    def expire(self, at: datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
        """A few at once, because everybody waits for it."""
        expired, some = 0, _EXPIRED_AT_ONCE
        sql = "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers WHERE expires <= ? LIMIT ?)"
        while go_on() and some == _EXPIRED_AT_ONCE:
            some = self._records.write(partial(_execute, sql, (milliseconds(at), _EXPIRED_AT_ONCE))).result()
            expired += some
        return expired


def _create(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)


def _execute(sql: str, parameters: tuple[object, ...], connection: sqlite3.Connection) -> int:
    return connection.execute(sql, parameters).rowcount
