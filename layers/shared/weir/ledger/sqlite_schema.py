"""The tables of the records' SQLite file, and how a file of an earlier version becomes one of this version.

A step is a tuple of statements; the file's user_version says how many it has gone through. A change of the tables is a
new step at the end: those that are here stay as they are.
"""

import sqlite3

_RECORDS = (
    """CREATE TABLE IF NOT EXISTS records (
        workspace TEXT NOT NULL, id TEXT NOT NULL, item BLOB NOT NULL, blob_key TEXT,
        PRIMARY KEY (workspace, id)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS payloads (
        workspace TEXT NOT NULL, id TEXT NOT NULL, content BLOB NOT NULL, UNIQUE (workspace, id))""",
    """CREATE TABLE IF NOT EXISTS caller_ids (
        workspace TEXT NOT NULL, caller_id TEXT NOT NULL, id TEXT NOT NULL,
        PRIMARY KEY (workspace, caller_id)) WITHOUT ROWID""",
)
"""Files from before there were versions have these."""

_INDEXES = (
    "ALTER TABLE records ADD COLUMN session_id TEXT",
    "ALTER TABLE records ADD COLUMN customer_identifier TEXT",
    "ALTER TABLE records ADD COLUMN application TEXT",
    "ALTER TABLE records ADD COLUMN intent TEXT",
    """UPDATE records SET
        session_id = json_extract(CAST(item AS TEXT), '$.session_id'),
        customer_identifier = json_extract(CAST(item AS TEXT), '$.customer_identifier'),
        application = json_extract(CAST(item AS TEXT), '$.application'),
        intent = json_extract(CAST(item AS TEXT), '$.intent')""",
    "CREATE INDEX records_session ON records (workspace, session_id, id) WHERE session_id IS NOT NULL",
    """CREATE INDEX records_customer ON records (workspace, customer_identifier, id)
        WHERE customer_identifier IS NOT NULL""",
    """CREATE INDEX records_intent ON records (workspace, application, intent, id)
        WHERE application IS NOT NULL AND intent IS NOT NULL""",
)
"""Columns of their own beside the record's JSON: reading them out of it for each row put would take longer."""

_PROJECTION = (
    "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT NOT NULL, id TEXT NOT NULL)",
    """CREATE TABLE dead_letters (
        number INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL)""",
    """CREATE TABLE projections (
        pk TEXT NOT NULL, sk TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID""",
    "INSERT INTO changes (workspace, id) SELECT workspace, id FROM records ORDER BY id",
)
"""What is derived from the records, and which records it still lacks: at first, all. A number is never given again:
of two projectors one may delete what it has read while the other is at work."""

_STEPS = (_RECORDS, _INDEXES, _PROJECTION)


def migrate(connection: sqlite3.Connection) -> None:
    """One transaction a step: two processes that open a file at once go through each step once."""
    for step, statements in enumerate(_STEPS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version <= step:
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {step + 1}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise
