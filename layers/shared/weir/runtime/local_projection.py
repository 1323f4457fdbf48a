"""The projector of `weir dev`: a thread that reads the change table."""

import logging
import threading
import time

from weir.domain.errors import LedgerUnavailable
from weir.ledger.archive_format import Broken
from weir.ledger.sqlite_changes import SQLiteChangeFeed
from weir.runtime.projection import Projection
from weir.services.project import Projector

logger = logging.getLogger("weir.project")

BATCH = 200
_WINDOW_S = 0.7
"""Changes are collected that long: each batch becomes an object of the archive."""

_PAUSE = 25
"""While more comes in than a batch takes, a pause follows that is this many times as long as the batch took: whoever
calls comes first, and what is kept is safe already."""

_AFTER_REFUSAL_S = 5.0
_CHECK_EVERY_S = 60.0


class LocalProjection:
    """Begins at once; `close` ends it before the ledger is closed."""

    def __init__(self, projection: Projection, feed: SQLiteChangeFeed) -> None:
        self._projection = projection
        self._feed = feed
        self._closing = threading.Event()
        self._checked = float("-inf")
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is not projected yet will be, after the next start."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            try:
                pause = self._turn()
            except (LedgerUnavailable, Broken):
                logger.exception("projection failed")
                pause = _AFTER_REFUSAL_S

    def _turn(self) -> float:
        """One batch; the seconds until the next."""
        begun, latest = time.monotonic(), self._feed.latest()
        whole = project_next(self._feed, self._projection.projector)
        if whole is None:
            return _AFTER_REFUSAL_S
        took = time.monotonic() - begun
        if whole:
            quiet = self._feed.latest() == latest
            return 0.0 if quiet else took * _PAUSE
        if begun - self._checked > _CHECK_EVERY_S:
            self._checked = begun
            self._projection.check()
        return max(_WINDOW_S, took * _PAUSE)


def project_next(feed: SQLiteChangeFeed, projector: Projector, limit: int = BATCH) -> bool | None:
    """Project what has waited longest; whether that was a whole batch, None if some of it was refused.

    Raises LedgerUnavailable.
    """
    changes = feed.next(limit)
    outcome = projector.project(changes)
    feed.bury(outcome.dead)
    feed.done([each for each in changes if each.token not in outcome.dead and each.token not in outcome.refused])
    return None if outcome.refused else len(changes) == limit
