"""Sums over a window of time: its whole hours from rollups, where these are whole too, the rest from records.

An hour comes from one source only, so no record counts twice; and the hours whose rollups may lack a record are asked
for first, so every record that was kept before the question is in the answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.record import Environment
from weir.domain.rollup import Dimensions, Family, family_for, regrouped
from weir.domain.totals import GroupField, Totals
from weir.ledger.projections import HourlyRollup, Projections
from weir.ledger.settlement import end_of, hours, start_of

_HOUR = timedelta(hours=1)


class Bounds(NamedTuple):
    """Ids from `since` on and below `before`; None is no bound."""

    since: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class RolledSums:
    """What the rollups answer of a question, and of which parts of the window the records must be summed besides."""

    sums: Mapping[str | None, Totals]
    rest: tuple[Bounds, ...]


@dataclass(frozen=True, slots=True)
class RolledHours:
    """The rollups of the hours that can be answered from them, and the rest of the window, in the order of time."""

    rows: tuple[HourlyRollup, ...]
    rest: tuple[Bounds, ...]


def rolled_sums(
    projections: Projections,
    workspace: str,
    window: Bounds,
    *,
    group_by: GroupField | None,
    environment: Environment | None,
    now: Callable[[], datetime],
) -> RolledSums:
    """Raises LedgerUnavailable."""
    if (family := family_for(group_by)) is None:
        return RolledSums({}, (window,))
    rolled = rolled_hours(
        projections,
        workspace,
        window,
        family=family,
        wanted=lambda dimensions: environment in (None, dimensions.value("environment")),
        now=now,
    )
    groups = regrouped(
        ((row.dimensions, row.rollup) for row in rolled.rows),
        lambda dimensions: None if group_by is None else dimensions.value(group_by),
    )
    return RolledSums({key: rollup.totals() for key, rollup in groups.items()}, rolled.rest)


def rolled_hours(
    projections: Projections,
    workspace: str,
    window: Bounds,
    *,
    family: Family,
    wanted: Callable[[Dimensions], bool],
    unclear: Callable[[Dimensions], bool] = lambda dimensions: False,
    now: Callable[[], datetime],
) -> RolledHours:
    """Of the rollups only those that are `wanted`. An hour with an `unclear` one is left to the records.

    Raises LedgerUnavailable.
    """
    nothing = RolledHours((), (window,))
    if (whole := _whole_hours(projections, workspace, window, now())) is None:
        return nothing
    first, last = whole
    unsettled = projections.unsettled(workspace, first, last)
    if unsettled is None or len(unsettled) == len(hours(first, last)):
        return nothing
    found = [
        row
        for row in projections.rollups(workspace, family, first, last)
        if row.hour not in unsettled and wanted(row.dimensions)
    ]
    left = unsettled | {row.hour for row in found if unclear(row.dimensions)}
    rest = [
        Bounds(window.since, _bound(start_of(first))),
        *_runs(sorted(left)),
        Bounds(_bound(end_of(last)), window.before),
    ]
    return RolledHours(tuple(row for row in found if row.hour not in left), tuple(filter(_holds_any, rest)))


def added(one: Mapping[str | None, Totals], other: Mapping[str | None, Totals]) -> Mapping[str | None, Totals]:
    return {
        key: one[key] + other[key] if key in one and key in other else one.get(key) or other[key]
        for key in {**one, **other}
    }


def _whole_hours(projections: Projections, workspace: str, window: Bounds, now: datetime) -> tuple[str, str] | None:
    """The first and the last hour that are in the window from end to end; None if there is none."""
    day = projections.first_day(workspace)
    if day is None or (window.since is not None and window.since >= _bound(now)):
        return None
    first, last = f"{day}00", _text(now)
    if window.since is not None:
        start = instant_of(window.since).replace(minute=0, second=0, microsecond=0)
        first = max(first, _text(start if _bound(start) >= window.since else start + _HOUR))
    if window.before is not None and window.before < _bound(end_of(last)):
        last = _text(instant_of(window.before) - _HOUR)
    return (first, last) if first <= last else None


def _runs(unsettled: list[str]) -> list[Bounds]:
    """Neighbours as one."""
    found: list[Bounds] = []
    for hour in unsettled:
        since, before = _bound(start_of(hour)), _bound(end_of(hour))
        if found and found[-1].before == since:
            found[-1] = Bounds(found[-1].since, before)
        else:
            found.append(Bounds(since, before))
    return found


def _holds_any(bounds: Bounds) -> bool:
    return bounds.since is None or bounds.before is None or bounds.since < bounds.before


def _bound(instant: datetime) -> str:
    """The lowest id of an instant."""
    return uuid7(milliseconds(instant), 0)


def _text(instant: datetime) -> str:
    return instant.strftime("%Y%m%d%H")
