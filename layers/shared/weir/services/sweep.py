"""Deleting what has been kept as long as it was to be. DynamoDB does so by itself with its items."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from weir.domain.retention import Clock, Retention
from weir.ledger.keys import ARCHIVE, PAYLOADS, archive_folder, day, payload_folder
from weir.ledger.ledger import Ledger
from weir.ledger.ports import BlobStore


@dataclass(frozen=True, slots=True)
class Swept:
    """How many of each were deleted; of records and payloads in the record store together. `answers`: in the cache."""

    records: int = 0
    answers: int = 0
    payload_blobs: int = 0
    archive_objects: int = 0


def sweep(ledger: Ledger, retention: Retention, now: datetime, *, go_on: Callable[[], bool] = lambda: True) -> Swept:
    """Until nothing is left to delete, or `go_on` says no. Raises LedgerUnavailable.

    Blobs and the archive go by the day, records and payloads beside them by the millisecond.
    """
    answers = 0 if ledger.answers is None else ledger.answers.expire(now, go_on=go_on)
    if retention.for_ever:
        return Swept(answers=answers)
    records = ledger.records.expire(retention, now, go_on=go_on)
    blobs = archive = 0
    for key in _expired(ledger.blobs, PAYLOADS, payload_folder, "payloads", retention, now):
        if not go_on():
            break
        ledger.blobs.delete(key)
        blobs += 1
    for key in _expired(ledger.blobs, ARCHIVE, archive_folder, "archive", retention, now):
        if not go_on():
            break
        ledger.blobs.delete(key)
        archive += 1
    return Swept(records, answers, blobs, archive)


def _expired(
    blobs: BlobStore,
    prefix: str,
    folder_of: Callable[[str], str],
    clock: Clock,
    retention: Retention,
    now: datetime,
) -> Iterator[str]:
    """Keys in order; below a workspace's folder they begin with the day, so the first that stays is the last look."""
    names = {folder_of(workspace): workspace for workspace in retention.own}
    for folder in list(_folders(blobs, prefix)):
        first = retention.kept_since(names.get(folder, ""), clock, now)
        if first is None:
            continue
        for key in blobs.list(folder):
            found = key.removeprefix(folder).split("/")[0].removeprefix("date=").replace("-", "")
            if found >= day(first):
                break
            yield key


def _folders(blobs: BlobStore, prefix: str) -> Iterator[str]:
    after: str | None = None
    while (key := next(blobs.list(prefix, after), None)) is not None:
        folder = key[: key.index("/", len(prefix)) + 1]
        yield folder
        after = f"{folder}~"
