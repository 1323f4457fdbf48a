"""How long what is kept stays. Sums (rollups) and seals hold no call, and stay for ever."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

Clock = Literal["payloads", "records", "archive"]


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days after a call was accepted; None stands for ever. A payload never stays longer than its record."""

    payloads: int | None = None
    records: int | None = None
    archive: int | None = None

    def of(self, clock: Clock) -> int | None:
        if clock == "payloads":
            return _least(self.payloads, self.records)
        return self.records if clock == "records" else self.archive


@dataclass(frozen=True, slots=True)
class Retention:
    """`default` holds for every workspace; one may have shorter times of its own, never longer ones."""

    default: Days = Days()
    own: Mapping[str, Days] = field(default_factory=dict)

    def days(self, workspace: str, clock: Clock) -> int | None:
        return _least(self.default.of(clock), self.own.get(workspace, self.default).of(clock))

    def expires(self, workspace: str, clock: Clock, accepted: datetime) -> datetime | None:
        days = self.days(workspace, clock)
        return None if days is None else accepted + timedelta(days=days)

    def kept_since(self, workspace: str, clock: Clock, now: datetime) -> datetime | None:
        """The start of the first day of which anything is kept; None if all of it is."""
        days = self.days(workspace, clock)
        if days is None:
            return None
        first = (now.astimezone(UTC) - timedelta(days=days)).date()
        return datetime(first.year, first.month, first.day, tzinfo=UTC)

    @property
    def for_ever(self) -> bool:
        return all(days == Days() for days in (self.default, *self.own.values()))


FOR_EVER = Retention()


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
