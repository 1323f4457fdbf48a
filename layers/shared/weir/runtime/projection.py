"""Wires what derives things from the records: archive, rollups, sessions, checks.

The engines' own parts are imported where they are used: a function on one of them does not load the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from weir.ledger.changes import DeadLetters
from weir.ledger.ledger import Ledger
from weir.ledger.projections import Projections
from weir.runtime.bootstrap import now, open_archive
from weir.runtime.settings import Settings, SettingsInvalid
from weir.services.completeness import Completeness
from weir.services.project import Projector
from weir.services.redrive import Finds, Redriven, redrive

if TYPE_CHECKING:
    from weir.ledger.dynamodb_stream import DynamoDBStream
    from weir.ledger.sqlite import SQLiteRecordStore
    from weir.ledger.sqlite_changes import SQLiteChangeFeed
    from weir.ledger.sqs import SQSDeadLetters

_HOURS_A_RUN = 48
_REPORTED_H = 24
_LOCAL_HOURS_A_RUN = 6
"""Few: in `weir dev` the check is in the process that serves."""


@dataclass(frozen=True, slots=True)
class Projection:
    """`feed` and `dead_letters` are the engine's; its change feed is read elsewhere, by who is given its changes."""

    projector: Projector
    completeness: Completeness
    projections: Projections
    feed: Finds
    dead_letters: DeadLetters

    def check(self) -> None:
        """Every workspace. Raises LedgerUnavailable, and Broken when the archive is."""
        for workspace in self.projections.workspaces():
            self.completeness.run(workspace, self.projector, self.feed)

    def missing(self) -> int:
        """What the checks of the last day miss, of every workspace. Raises LedgerUnavailable."""
        return sum(self.completeness.missing(workspace, _REPORTED_H) for workspace in self.projections.workspaces())

    def redrive(self, limit: int) -> Redriven:
        """Raises LedgerUnavailable."""
        return redrive(self.dead_letters, self.feed, self.projector, limit)


def open_completeness(ledger: Ledger, projections: Projections, now: Callable[[], datetime]) -> Completeness:
    return Completeness(ledger.records, open_archive(ledger.blobs), projections, now=now, spill=ledger.spill)


def open_projection(ledger: Ledger, projections: Projections, settings: Settings) -> Projection:
    """Raises SettingsInvalid."""
    if settings.engine == "dynamodb":
        stream, queue = open_stream(ledger, settings), open_dead_letters(settings)
        return _projection(ledger, projections, stream, queue, _HOURS_A_RUN)
    from weir.ledger.sqlite import SQLiteRecordStore
    from weir.ledger.sqlite_changes import SQLiteDeadLetters

    if not isinstance(ledger.records, SQLiteRecordStore):
        raise SettingsInvalid("WEIR_ENGINE: has no change feed")
    feed, letters = local_feed(ledger, ledger.records), SQLiteDeadLetters(ledger.records)
    return _projection(ledger, projections, feed, letters, _LOCAL_HOURS_A_RUN)


def local_feed(ledger: Ledger, records: "SQLiteRecordStore") -> "SQLiteChangeFeed":
    from weir.ledger.sqlite_changes import SQLiteChangeFeed

    return SQLiteChangeFeed(records, ledger.blobs)


def open_stream(ledger: Ledger, settings: Settings) -> "DynamoDBStream":
    from weir.ledger.dynamodb import DynamoDBRecordStore
    from weir.ledger.dynamodb_stream import DynamoDBStream

    match ledger.records:
        case DynamoDBRecordStore(client=client) if settings.table is not None:
            return DynamoDBStream(client, settings.table, ledger.blobs, shards=settings.shards)
        case _:
            raise SettingsInvalid("WEIR_ENGINE: must be dynamodb where a stream is read")


def open_dead_letters(settings: Settings) -> "SQSDeadLetters":
    from weir.ledger.sqs import open_sqs

    if settings.dead_letters is None:
        raise SettingsInvalid("WEIR_DEAD_LETTERS: must be set")
    return open_sqs(settings.dead_letters)


def _projection(
    ledger: Ledger, projections: Projections, feed: Finds, letters: DeadLetters, hours_a_run: int
) -> Projection:
    archive = open_archive(ledger.blobs)
    return Projection(
        Projector(archive, projections),
        Completeness(ledger.records, archive, projections, now=now, spill=ledger.spill, hours_a_run=hours_a_run),
        projections,
        feed,
        letters,
    )
