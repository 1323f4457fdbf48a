"""Counters on SQLite, in a file of their own that does not wait for the disk.

A record's transaction waits for the disk, some milliseconds, which is more than limits may cost. What is committed to
this file is in the hands of the operating system: a process that is killed loses nothing of it; after a power failure
the counts of the last half a minute or so may be missing.

Even so a transaction takes as long as all else that limits do. As long as no other process counts in the same file,
one stays open for the calls of a moment: they count in memory, and `commit` writes what they came to. SQLite's own lock
keeps everybody else out meanwhile.
"""

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from weir.domain.errors import LedgerUnavailable
from weir.ledger.counters import Counter, Settlement, Take, Taken, Tally

logger = logging.getLogger("weir.limits")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    workspace TEXT NOT NULL, subject TEXT NOT NULL, measure TEXT NOT NULL, window TEXT NOT NULL,
    used INTEGER NOT NULL, held INTEGER NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (workspace, subject, measure, window)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_expires ON counters (expires);
"""
_WRITE = """
INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET used = excluded.used, held = excluded.held
"""
_READ = "SELECT used, held FROM counters WHERE workspace = ? AND subject = ? AND measure = ? AND window = ?"
_WAIT_S = 5.0
"""For another process that counts in the same file."""

_KEPT_UP_EVERY = 1_000
"""Transactions, after which one waits for what keeps the file small: every other one is done in some microseconds."""

_LARGEST = 2**63 - 1
"""What an integer of SQLite's can be. No sum gets larger, or less than nothing."""


class SQLiteCounterStore:
    """The file is opened, and made, when something is first counted. `now` gives UTC instants, as for the windows."""

    def __init__(self, path: Path, *, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._file: _File | None = None
        self._closing: Callable[[], object] | None = None
        self._until_kept_up = 0

    def take(self, takes: Sequence[Take]) -> Taken:
        with self._transaction("written", kept_up=True) as file:
            return file.take(takes)

    def take_now(self, takes: Sequence[Take]) -> Taken | None:
        with self._transaction_now() as file:
            return None if file is None else file.take(takes)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        with self._transaction("written", kept_up=True) as file:
            file.add(settlements)

    def settle_now(self, settlements: Sequence[Settlement]) -> bool:
        with self._transaction_now() as file:
            if file is not None:
                file.add(settlements)
            return file is not None

    def commit(self) -> None:
        if self._lock.acquire(blocking=False):  # else a thread counts, and commits
            try:
                if self._file is not None:
                    self._file.commit()
            except sqlite3.Error as exc:
                raise LedgerUnavailable("The counters cannot be written.") from exc
            finally:
                self._lock.release()

    def read(self, counters: Sequence[Counter]) -> tuple[Tally, ...]:
        with self._transaction("read") as file:
            return tuple(file.tally(counter) for counter in counters)

    def close(self) -> None:
        with self._lock:
            if self._closing is not None:
                self._closing()
            self._file = self._closing = None

    @contextmanager
    def _transaction(self, verb: str, *, kept_up: bool = False) -> Iterator["_File"]:
        """Committed when it is over, with what was open before."""
        until = time.monotonic() + _WAIT_S
        try:
            with self._turn():
                if self._file is None:
                    self._file = _File(self._path)
                    self._closing = weakref.finalize(self, self._file.close)
                self._file.begin(until - time.monotonic())
                with self._file.rolled_back():
                    if keeps_up := kept_up and self._until_kept_up <= 0:
                        self._until_kept_up = _KEPT_UP_EVERY
                        self._file.sweep(self._now())
                    yield self._file
                    self._file.commit()
            if keeps_up:
                self._move_into_file()
        except (sqlite3.Error, OSError) as exc:
            raise LedgerUnavailable(f"The counters cannot be {verb}.") from exc

    @contextmanager
    def _transaction_now(self) -> Iterator["_File | None"]:
        """None where it would have to wait: for another thread or process, or for the disk."""
        file = self._file
        if file is None or not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            if not file.is_open:
                if self._until_kept_up <= 0 or not file.begin_now():
                    yield None
                    return
                self._until_kept_up -= 1
            with file.rolled_back():
                yield file
                if not file.is_alone:
                    file.commit()
        except sqlite3.Error as exc:
            raise LedgerUnavailable("The counters cannot be written.") from exc
        finally:
            self._lock.release()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Of one thread among those of this process: all of them wait for another process at once."""
        if not self._lock.acquire(timeout=_WAIT_S):
            raise LedgerUnavailable("Another process does not let go of the counters.")
        try:
            yield
        finally:
            self._lock.release()

    def _move_into_file(self) -> None:
        """What was committed to the log, and counts, moved or not; it holds up nobody."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_WAIT_S)) as beside:
                beside.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            logger.exception("the log of the counters grows")


class _File:
    """The connection, and the transaction that is open on it: what its counters say by now, and which have changed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.ExitStack() as opened:
            users = path.with_name(f"{path.name}-users")
            self._company = os.open(users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            opened.callback(os.close, self._company)
            self._keep_company()
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            opened.callback(self._connection.close)
            self._connection.execute("PRAGMA page_size=1024")  # a commit writes whole pages, and changes a row or two
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA wal_autocheckpoint=0")  # it would wait for the disk amid a call
            self._connection.executescript(_SCHEMA)
            self._closing = opened.pop_all()
        self._tallies: dict[Counter, Tally] = {}
        self._changed: set[Counter] = set()
        self.is_alone = False
        """Whether nobody else had the file open when the transaction began."""

    @property
    def is_open(self) -> bool:
        """Whether there is a transaction."""
        return self._connection.in_transaction

    def begin(self, wait_s: float) -> None:
        if self.is_open:
            return
        self._connection.execute(f"PRAGMA busy_timeout={max(0, int(wait_s * 1000))}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        finally:
            self._connection.execute("PRAGMA busy_timeout=0")
        self.is_alone = self._has_no_company()

    def begin_now(self) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # another process writes
            return False
        self.is_alone = self._has_no_company()
        return True

    def _has_no_company(self) -> bool:
        """Everybody who has the file open shares the lock of another one. To ask for it may be to lose it for a moment,
        so that somebody else takes themselves to be alone: no harm is done, and they find out the next time. Where
        there are no such locks nobody is taken to be alone."""
        try:
            fcntl.flock(self._company, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            self._keep_company()
        return True

    def _keep_company(self) -> None:
        """Whoever cannot do so now waits for nobody, and does it with the next transaction."""
        with contextlib.suppress(OSError):
            fcntl.flock(self._company, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def take(self, takes: Sequence[Take]) -> Taken:
        tallies: list[Tally] = []
        for counter, _, _, most in takes:
            tally = self.tally(counter)
            tallies.append(tally)
            if most is not None and tally.used >= most:
                return Taken(tuple(tallies), refused=True)
        self.add((counter, amount, amount * held) for counter, amount, held, _ in takes)
        return Taken(tuple(self._tallies[take.counter] for take in takes))

    def add(self, amounts: Iterable[tuple[Counter, int, int]]) -> None:
        for counter, used, held in amounts:
            before = self.tally(counter)
            self._tallies[counter] = Tally(_within(before.used + used), _within(before.held + held))
            self._changed.add(counter)

    def tally(self, counter: Counter) -> Tally:
        known = self._tallies.get(counter)
        if known is None:
            row = self._connection.execute(_READ, counter[:4]).fetchone()
            known = self._tallies[counter] = Tally() if row is None else Tally(*row)
        return known

    def sweep(self, now: datetime) -> None:
        self._connection.execute("DELETE FROM counters WHERE expires < ?", (int(now.timestamp()),))

    def commit(self) -> None:
        """What cannot be written is not counted."""
        if not self.is_open:
            return
        with self.rolled_back():
            rows = [(*counter[:4], *self._tallies[counter], counter.expires) for counter in self._changed]
            self._connection.executemany(_WRITE, rows)
            self._connection.execute("COMMIT")
            self._over()

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """When what is done in it fails."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            self._over()
            raise

    def _over(self) -> None:
        self._tallies.clear()
        self._changed.clear()

    def close(self) -> None:
        try:
            self.commit()
        except sqlite3.Error:
            logger.exception("use of the last moment not counted")
        self._closing.close()


def _within(sum: int) -> int:
    return sum if 0 <= sum <= _LARGEST else max(0, min(sum, _LARGEST))
