"""What `weir doctor` says of a ledger's projection: how far it is, what it could not read, what is missing."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from weir.domain.completeness import HourReport
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of
from weir.ledger.archive_format import Broken
from weir.ledger.settlement import CheckedSettlement, start_of
from weir.ledger.sqlite_changes import SQLiteChangeFeed
from weir.runtime.bootstrap import Stores, now
from weir.runtime.finding import Finding
from weir.runtime.projection import Projection, open_projection
from weir.runtime.settings import Settings, SettingsInvalid

_REPORTED = timedelta(hours=24)
_SLOW = timedelta(minutes=2)
_CHECKS_LATE = timedelta(hours=4)
"""Hours are checked every 15 minutes, and 25 minutes after their end at the earliest."""

_SHOWN_IDS = 5


def ledger_findings(stores: Stores, settings: Settings, workspace: str) -> Iterator[Finding]:
    """Reads, and writes nothing. Raises LedgerUnavailable."""
    try:
        projection = open_projection(stores.ledger, stores.projections, settings)
    except SettingsInvalid as exc:  # the queue is known to the projector's function and perhaps not here
        yield Finding("projection", "note", f"not looked at: {exc}")
        return
    yield _lag(projection, workspace, now())
    dead = projection.dead_letters.count()
    if dead:
        yield Finding("dead letters", "wrong", f"{dead} that cannot be projected; weir deadletters lists them")
    else:
        yield Finding("dead letters", "ok", "none")
    yield _completeness(projection, workspace, now())


def _lag(projection: Projection, workspace: str, at: datetime) -> Finding:
    if isinstance(projection.feed, SQLiteChangeFeed):
        oldest = projection.feed.oldest()
        if oldest is None:
            return Finding("projection", "ok", "nothing waits")
        age = max(at - instant_of(oldest), timedelta())
        says = f"changes that wait: {projection.feed.pending()}, the oldest for {age.total_seconds():.0f} s"
        return Finding("projection", "note" if age > _SLOW else "ok", f"{says}; weir dev projects them")
    until, late = CheckedSettlement(projection.projections.store).read(workspace)
    if until is None:
        return Finding("projection", "note", "no hour has been checked yet")
    says = f"all hours before {start_of(until):%Y-%m-%d %H:%M} UTC are whole"
    if late:
        says += f", but for {len(late)} that are looked at again"
    return Finding("projection", "note" if at - start_of(until) > _CHECKS_LATE else "ok", says)


def _completeness(projection: Projection, workspace: str, at: datetime) -> Finding:
    first, last = ((at - ago).strftime("%Y%m%d%H") for ago in (_REPORTED, timedelta()))
    try:
        reports = projection.completeness.report(workspace, first, last)
    except (LedgerUnavailable, Broken) as exc:
        return Finding("completeness", "wrong", f"cannot be told: {exc}")
    accepted = sum(report.accepted(name) for report in reports for name in report.check.applications)
    stored = sum(each.records for report in reports for each in report.check.applications.values())
    says = f"of {accepted} calls accepted in the last 24 hours {stored} are stored"
    if lost := [gap for report in reports for gap in report.gaps]:
        between = "; ".join(f"{gap.missing} between {gap.after} and {gap.before}" for gap in lost[:_SHOWN_IDS])
        return Finding("completeness", "wrong", f"{says}; missing: {between}{_and_more(len(lost))}")
    return Finding("completeness", "ok", f"{says}{_not_archived(reports)}")


def _not_archived(reports: list[HourReport]) -> str:
    ids = [id for report in reports for id in report.check.not_archived]
    return f", {len(ids)} of them not archived yet: {', '.join(ids[:_SHOWN_IDS])}{_and_more(len(ids))}" if ids else ""


def _and_more(count: int) -> str:
    return f" and {count - _SHOWN_IDS} more" if count > _SHOWN_IDS else ""
