"""What only SQLite can get wrong: files of earlier versions, and how its questions are answered."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.ledger.test_contract import NOON, keep, record
from tests.ledger.test_indexes import questions, turn
from weir.ledger.items import to_item
from weir.ledger.ports import Entry
from weir.ledger.sqlite import SQLiteRecordStore

_WITHOUT_VERSION = """
CREATE TABLE records (
    workspace TEXT NOT NULL, id TEXT NOT NULL, item BLOB NOT NULL, blob_key TEXT,
    PRIMARY KEY (workspace, id)) WITHOUT ROWID;
CREATE TABLE payloads (
    workspace TEXT NOT NULL, id TEXT NOT NULL, content BLOB NOT NULL, UNIQUE (workspace, id));
CREATE TABLE caller_ids (
    workspace TEXT NOT NULL, caller_id TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (workspace, caller_id)) WITHOUT ROWID;
"""


def test_a_file_from_before_there_were_indexes_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    old = turn(1)
    bare = replace(record(NOON, 7), customer_identifier="größe", metadata={"session_id": "not this"})
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_WITHOUT_VERSION)
        for kept in (old, bare):
            connection.execute("INSERT INTO records VALUES ('main', ?, ?, NULL)", (kept.id, to_item(kept)))
        connection.execute("INSERT INTO payloads VALUES ('main', ?, ?)", (old.id, b"content"))
        connection.commit()
    for _ in range(2):  # the second time there is nothing left to do
        with closing(SQLiteRecordStore(path)) as records:
            assert [read() for read in questions(records).values()] == [(old,)] * 3
            assert records.of_customer("main", "größe", limit=9) == (bare,)
            assert records.get("main", old.id) == Entry(old, b"content")
    with closing(SQLiteRecordStore(path)) as records:
        new = turn(3)
        keep(records, Entry(new))
        assert records.of_session("main", "s1", limit=9) == (old, new)


def test_two_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(SQLiteRecordStore(path)) as one, closing(SQLiteRecordStore(path)) as other:
        keep(one, Entry(turn(1)))
        assert other.of_session("main", "s1", limit=9) == (turn(1),)


class Stepped(SQLiteRecordStore):
    """Counts the steps that SQLite takes to answer."""

    steps = 0

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_progress_handler(self._step, 1)
        return connection

    def _step(self) -> None:
        self.steps += 1


def test_a_list_takes_the_same_steps_however_many_records_there_are(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(SQLiteRecordStore(path)) as records:
        keep(records, *(Entry(turn(n)) for n in range(1000)))
    few = _steps(path)
    with closing(SQLiteRecordStore(path)) as records:
        keep(records, *(Entry(turn(n)) for n in range(1000, 10_000)))
    many = _steps(path)
    assert few.keys() == many.keys()
    assert all(abs(many[name] - few[name]) <= few[name] / 10 for name in few), (few, many)


def _steps(path: Path) -> dict[str, int]:
    found = {}
    with closing(Stepped(path)) as records:
        for name, read in {
            "newest": partial(records.newest, "main", limit=50),
            "session": partial(records.of_session, "main", "s1", limit=50),
            "customer": partial(records.of_customer, "main", "c1", limit=50),
            "intent": partial(records.of_intent, "main", "shop", "i1", limit=50),
        }.items():
            read()
            records.steps = 0
            assert len(read()) == 50
            found[name] = records.steps
    return found
