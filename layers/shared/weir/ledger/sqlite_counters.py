"""Counters on SQLite, in a file of their own that does not wait for the disk.

A record's transaction waits for the disk, some milliseconds, which is more than limits may cost. What is committed to
this file is in the hands of the operating system: a process that is killed loses nothing of it; after a power failure
the counts of the last half a minute or so may be missing.
"""

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from weir.domain.errors import LedgerUnavailable
from weir.ledger.counters import Counter, Settlement, Take, Taken, Tally

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    workspace TEXT NOT NULL, subject TEXT NOT NULL, measure TEXT NOT NULL, window TEXT NOT NULL,
    used INTEGER NOT NULL, held INTEGER NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (workspace, subject, measure, window)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_expires ON counters (expires);
"""
_ADD = """
INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET used = used + excluded.used, held = held + excluded.held
RETURNING used, held
"""
_READ = "SELECT used, held FROM counters WHERE workspace = ? AND subject = ? AND measure = ? AND window = ?"
_WAIT_S = 5
"""For another process that counts in the same file."""

_SWEPT_EVERY_S = 60


class SQLiteCounterStore:
    """The file is opened, and made, when something is first counted. `now` gives Unix time."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._swept = 0.0

    def take(self, takes: Sequence[Take]) -> Taken:
        with self._transaction("written") as connection:
            self._sweep(connection)
            tallies = [_tally(connection, take.counter) for take in takes]
            for at, take in enumerate(takes):
                if take.most is not None and tallies[at].used >= take.most:
                    return Taken(tuple(tallies[: at + 1]), refused=True)
            added = (_add(connection, take.counter, take.amount, take.amount if take.held else 0) for take in takes)
            return Taken(tuple(added))

    def settle(self, settlements: Sequence[Settlement]) -> None:
        with self._transaction("written") as connection:
            for counter, used, held in settlements:
                _add(connection, counter, used, held)

    def read(self, counters: Sequence[Counter]) -> tuple[Tally, ...]:
        with self._transaction("read") as connection:
            return tuple(_tally(connection, counter) for counter in counters)

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def _sweep(self, connection: sqlite3.Connection) -> None:
        now = self._now()
        if now - self._swept >= _SWEPT_EVERY_S:
            connection.execute("DELETE FROM counters WHERE expires < ?", (int(now),))
            self._swept = now

    @contextmanager
    def _transaction(self, verb: str) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                connection = self._opened or self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.Error as exc:
            raise LedgerUnavailable(f"The counters cannot be {verb}.") from exc

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=_WAIT_S)
        weakref.finalize(self, connection.close)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(_SCHEMA)
        self._opened = connection
        return connection


def _tally(connection: sqlite3.Connection, counter: Counter) -> Tally:
    row = connection.execute(_READ, counter[:4]).fetchone()
    return Tally() if row is None else Tally(*row)


def _add(connection: sqlite3.Connection, counter: Counter, used: int, held: int) -> Tally:
    return Tally(*connection.execute(_ADD, (*counter[:4], used, held, counter.expires)).fetchone())
