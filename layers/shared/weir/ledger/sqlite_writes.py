"""What one transaction of the SQLite record store may do, each inside a transaction that others share."""

import dataclasses
import sqlite3
from collections.abc import Callable

from weir.domain.ids import instant_of
from weir.domain.retention import Clock
from weir.ledger.items import from_item, to_item
from weir.ledger.ports import Entry, Kept

_CHANGED = "INSERT INTO changes (workspace, id) VALUES (?, ?)"
"""In the transaction of the change itself. What has been projected is deleted, so the table stays small."""

EXPIRED_AT_ONCE = 200


def put(connection: sqlite3.Connection, entry: Entry, item: bytes, indexed: tuple[str | None, ...]) -> Kept:
    record = entry.record
    if record.caller_id is not None and not entry.claimed:
        id = claim(connection, record.workspace, record.caller_id, record.id) or record.id
        if id != record.id:  # a record that is there, or one that was to come
            record = dataclasses.replace(record, id=id, created_at=instant_of(id))
            item = to_item(record)
    put = connection.execute(
        """INSERT OR IGNORE INTO records
           (workspace, id, item, blob_key, session_id, customer_identifier, application, intent)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (record.workspace, record.id, item, entry.blob_key, *indexed),
    )
    if put.rowcount and entry.inline is not None:
        connection.execute("INSERT INTO payloads VALUES (?, ?, ?)", (record.workspace, record.id, entry.inline))
    if put.rowcount:
        connection.execute(_CHANGED, (record.workspace, record.id))
    return Kept(record.id, new=bool(put.rowcount))


def claim(
    connection: sqlite3.Connection, workspace: str, caller_id: str, id: str | None, instead_of: str | None = None
) -> str | None:
    key = {"workspace": workspace, "caller_id": caller_id, "id": id, "old": instead_of}
    where = "workspace = :workspace AND caller_id = :caller_id"
    if instead_of is not None:
        change = "DELETE FROM caller_ids" if id is None else "UPDATE caller_ids SET id = :id"
        connection.execute(f"{change} WHERE {where} AND id = :old", key)
    if id is not None:
        connection.execute("INSERT OR IGNORE INTO caller_ids VALUES (:workspace, :caller_id, :id)", key)
    found = connection.execute("SELECT id FROM caller_ids WHERE workspace = :workspace AND caller_id = :caller_id", key)
    row = found.fetchone()
    return None if row is None else row[0]


def replace(
    connection: sqlite3.Connection,
    workspace: str,
    id: str,
    old: bytes,
    new: bytes,
    moved: tuple[str | None, ...] | None,
) -> bool:
    """False when something else lies there by now. `moved` is where the indexes have it from now on, if they change."""
    changed = connection.execute(
        "UPDATE records SET item = ? WHERE workspace = ? AND id = ? AND item = ?", (new, workspace, id, old)
    )
    if changed.rowcount and moved is not None:
        connection.execute(
            """UPDATE records SET session_id = ?, customer_identifier = ?, application = ?, intent = ?
               WHERE workspace = ? AND id = ?""",
            (*moved, workspace, id),
        )
    if changed.rowcount:
        connection.execute(_CHANGED, (workspace, id))
    return bool(changed.rowcount)


def delete(connection: sqlite3.Connection, workspace: str, id: str) -> bool:
    key = (workspace, id)
    row = connection.execute("SELECT item FROM records WHERE workspace = ? AND id = ?", key).fetchone()
    connection.execute("DELETE FROM payloads WHERE workspace = ? AND id = ?", key)
    if row is None:
        return False
    caller_id = from_item(row[0]).caller_id
    if caller_id is not None:
        claim(connection, workspace, caller_id, None, instead_of=id)
    connection.execute("DELETE FROM records WHERE workspace = ? AND id = ?", key)
    return True


def expire_records(connection: sqlite3.Connection, workspace: str, before: str) -> int:
    """With their payloads and claims; a few at once, because everybody waits for it."""
    ids = connection.execute(
        "SELECT id FROM records WHERE workspace = ? AND id < ? ORDER BY id LIMIT ?",
        (workspace, before, EXPIRED_AT_ONCE),
    ).fetchall()
    for (id,) in ids:
        delete(connection, workspace, id)
    return len(ids)


def expire_payloads(connection: sqlite3.Connection, workspace: str, before: str) -> int:
    deleted = connection.execute(
        """DELETE FROM payloads WHERE workspace = :workspace AND id IN
           (SELECT id FROM payloads WHERE workspace = :workspace AND id < :before ORDER BY id LIMIT :limit)""",
        {"workspace": workspace, "before": before, "limit": EXPIRED_AT_ONCE},
    )
    return deleted.rowcount


EXPIRIES: tuple[tuple[Clock, Callable[..., int]], ...] = (("records", expire_records), ("payloads", expire_payloads))
