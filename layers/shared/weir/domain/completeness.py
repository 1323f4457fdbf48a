"""Whether every call that was accepted is kept: by the numbers that the accepting processes give them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from weir.domain.record import Record
from weir.domain.rollup import Rollup


class Run(NamedTuple):
    """Calls `first` to `last` of one writer, none missing, and the ids of these two."""

    first: int
    last: int
    first_id: str
    last_id: str


class Gap(NamedTuple):
    """`missing` calls that a writer accepted after the one kept as `after` and before the one kept as `before`."""

    application: str | None
    writer: str
    after: str
    before: str
    missing: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The records of an hour and an application: how many, how many of them are archived, and which numbers they have.

    A writer numbers the calls of each application by themselves; `runs` are by writer.
    """

    records: int
    archived: int
    runs: Mapping[str, tuple[Run, ...]]


@dataclass(frozen=True, slots=True)
class HourCheck:
    """What was found when an hour was looked at. `settled`: all its records are archived, and the archive rolled up.

    `not_archived` are ids.
    """

    hour: str
    checked_at: datetime
    settled: bool
    applications: Mapping[str | None, Stored]
    not_archived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HourReport:
    """`gaps` begin in this hour. `rolled_up` has the sums of every application, with the usage that providers told."""

    check: HourCheck
    gaps: tuple[Gap, ...]
    rolled_up: Mapping[str | None, Rollup]

    @property
    def complete(self) -> bool:
        return not self.gaps and not self.check.not_archived

    def accepted(self, application: str | None) -> int:
        kept = self.check.applications.get(application)
        lost = sum(gap.missing for gap in self.gaps if gap.application == application)
        return (kept.records if kept is not None else 0) + lost


def stored(
    records: Iterable[Record], archived: frozenset[str], elsewhere: Iterable[Record] = ()
) -> Mapping[str | None, Stored]:
    """`elsewhere`: what was erased, or has been put aside. Their numbers are accounted for."""
    groups: dict[str | None, list[Record]] = {}
    for record in records:
        groups.setdefault(record.application, []).append(record)
    gone: dict[str | None, list[Record]] = {}
    for record in elsewhere:
        gone.setdefault(record.application, []).append(record)
    return {
        application: Stored(
            records=len(groups.get(application, ())),
            archived=sum(record.id in archived for record in groups.get(application, ())),
            runs=_runs([*groups.get(application, ()), *gone.get(application, ())]),
        )
        for application in {**groups, **gone}
    }


def gaps(checks: Iterable[HourCheck]) -> list[Gap]:
    """Between two calls that were kept: what a writer accepted before its first or after its last cannot be told."""
    found: dict[tuple[str | None, str], list[Run]] = {}
    for check in checks:
        for application, each in check.applications.items():
            for writer, runs in each.runs.items():
                found.setdefault((application, writer), []).extend(runs)
    return [
        Gap(application, writer, one.last_id, other.first_id, other.first - one.last - 1)
        for (application, writer), runs in found.items()
        for one, other in pairwise(_joined(runs))
    ]


def _runs(records: Sequence[Record]) -> Mapping[str, tuple[Run, ...]]:
    found: dict[str, list[Run]] = {}
    for record in records:
        writer, _, number = (record.writer or "").rpartition(":")
        if number.isascii() and number.isdigit():
            found.setdefault(writer, []).append(Run(int(number), int(number), record.id, record.id))
    return {writer: tuple(_joined(runs)) for writer, runs in found.items()}


def _joined(runs: Iterable[Run]) -> list[Run]:
    joined: list[Run] = []
    for run in sorted(runs):
        if joined and run.first <= joined[-1].last + 1:
            last = max(joined[-1], run, key=lambda each: each.last)
            joined[-1] = Run(joined[-1].first, last.last, joined[-1].first_id, last.last_id)
        else:
            joined.append(run)
    return joined
