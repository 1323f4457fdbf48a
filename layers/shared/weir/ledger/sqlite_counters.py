"""Counters on SQLite, in a file of their own that does not wait for the disk.

A record's transaction waits for the disk, some milliseconds, which is more than limits may cost. What is committed to
this file is in the hands of the operating system: a process that is killed loses nothing of it; after a power failure
the counts of the last half a minute or so may be missing.
"""

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
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
"""
_READ = "SELECT used, held FROM counters WHERE workspace = ? AND subject = ? AND measure = ? AND window = ?"
_WAIT_MS = 5_000
"""For another process that counts in the same file."""

_KEPT_UP_EVERY = 1_000
"""Transactions, after which one waits for what keeps the file small: every other one is done in some microseconds."""


class SQLiteCounterStore:
    """The file is opened, and made, when something is first counted. `now` gives UTC instants, as for the windows."""

    def __init__(self, path: Path, *, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._until_kept_up = 0

    def take(self, takes: Sequence[Take]) -> Taken:
        self._keep_up()
        with self._transaction("written") as connection:
            return _take(connection, takes)

    def take_now(self, takes: Sequence[Take]) -> Taken | None:
        with self._transaction_now() as connection:
            return None if connection is None else _take(connection, takes)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        self._keep_up()
        with self._transaction("written") as connection:
            _add(connection, settlements)

    def settle_now(self, settlements: Sequence[Settlement]) -> bool:
        with self._transaction_now() as connection:
            if connection is not None:
                _add(connection, settlements)
            return connection is not None

    def read(self, counters: Sequence[Counter]) -> tuple[Tally, ...]:
        with self._transaction("read") as connection:
            return tuple(_tally(connection, counter) for counter in counters)

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    @contextmanager
    def _transaction(self, verb: str) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                connection = self._opened or self._open()
                connection.execute(f"PRAGMA busy_timeout={_WAIT_MS}")
                try:
                    connection.execute("BEGIN IMMEDIATE")
                finally:
                    connection.execute("PRAGMA busy_timeout=0")
                with _committed(connection):
                    yield connection
        except sqlite3.Error as exc:
            raise LedgerUnavailable(f"The counters cannot be {verb}.") from exc

    @contextmanager
    def _transaction_now(self) -> Iterator[sqlite3.Connection | None]:
        """None where it would have to wait: for another thread or process, or for the disk."""
        if self._until_kept_up <= 0 or self._opened is None or not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            self._until_kept_up -= 1
            try:
                self._opened.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:  # another process writes
                yield None
                return
            with _committed(self._opened):
                yield self._opened
        except sqlite3.Error as exc:
            raise LedgerUnavailable("The counters cannot be written.") from exc
        finally:
            self._lock.release()

    def _keep_up(self) -> None:
        """Once in a while: what has expired goes, and what was committed from the log into the file."""
        if self._until_kept_up > 0 and self._opened is not None:
            return
        self._until_kept_up = _KEPT_UP_EVERY
        with self._transaction("written") as connection:
            connection.execute("DELETE FROM counters WHERE expires < ?", (int(self._now().timestamp()),))
        try:
            with closing(sqlite3.connect(self._path, timeout=_WAIT_MS / 1000)) as beside:  # holds up nobody
                beside.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as exc:
            raise LedgerUnavailable("The counters cannot be written.") from exc

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, connection.close)
        connection.execute("PRAGMA page_size=1024")  # each commit writes whole pages, and changes a row or two
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # it would wait for the disk in the middle of a call
        connection.executescript(_SCHEMA)
        self._opened = connection
        return connection


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _take(connection: sqlite3.Connection, takes: Sequence[Take]) -> Taken:
    """Read, then written: nobody else writes in between, and RETURNING takes three times as long."""
    before: list[Tally] = []
    for counter, _, _, most in takes:
        before.append(_tally(connection, counter))
        if most is not None and before[-1].used >= most:
            return Taken(tuple(before), refused=True)
    _add(connection, [(counter, amount, amount * held) for counter, amount, held, _ in takes])
    tallies = zip(before, takes, strict=True)
    return Taken(tuple(Tally(was.used + take.amount, was.held + take.amount * take.held) for was, take in tallies))


def _add(connection: sqlite3.Connection, amounts: Iterable[tuple[Counter, int, int]]) -> None:
    connection.executemany(_ADD, [(*counter[:4], used, held, counter.expires) for counter, used, held in amounts])


def _tally(connection: sqlite3.Connection, counter: Counter) -> Tally:
    row = connection.execute(_READ, counter[:4]).fetchone()
    return Tally() if row is None else Tally(*row)
