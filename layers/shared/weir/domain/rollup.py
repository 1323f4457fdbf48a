"""Sums over the calls of an hour that can be added to one another: exact counts and costs, histograms for percentiles.

A histogram's buckets grow by 4%, so the middle of a bucket is within 2% of every value in it.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

from weir.domain.completion import NOTHING
from weir.domain.record import Record
from weir.domain.totals import GroupField, Totals, exact_sum

GROWTH = 1.04
_LOG_GROWTH = math.log(GROWTH)

TOKEN_KINDS = (
    "prompt",
    "completion",
    "cached",
    "cache_written",
    "reasoning",
    "prompt_audio",
    "completion_audio",
    "accepted_prediction",
    "rejected_prediction",
)

Family = Literal["calls", "customers"]
"""Which fields a rollup is by, see FIELDS."""

FIELDS: Mapping[Family, tuple[str, ...]] = {
    "calls": ("environment", "application", "intent", "provider", "model"),
    "customers": ("environment", "customer_identifier"),
}


class Dimensions(NamedTuple):
    """What one rollup sums up: records with these `values` in the FIELDS of the family."""

    family: Family
    values: tuple[str | None, ...]

    def value(self, field: str) -> str | None:
        return self.values[FIELDS[self.family].index(field)]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie from GROWTH**i up to GROWTH**(i+1), by i. `zeros` are those that are not above 0."""

    buckets: Mapping[int, int] = field(default_factory=dict)
    zeros: int = 0

    @property
    def count(self) -> int:
        return self.zeros + sum(self.buckets.values())

    def percentile(self, part: float) -> float | None:
        """The smallest value that at least `part` (0 to 1) of all do not exceed, within 2%; None without any."""
        count = self.count
        if not count:
            return None
        left = max(1, math.ceil(part * count)) - self.zeros
        if left <= 0:
            return 0.0
        last = 0
        for last in sorted(self.buckets):
            left -= self.buckets[last]
            if left <= 0:
                break
        return math.exp((last + 0.5) * _LOG_GROWTH)

    def __add__(self, other: "Histogram") -> "Histogram":
        buckets = dict(self.buckets)
        for bucket, count in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count
        return Histogram({bucket: count for bucket, count in buckets.items() if count}, self.zeros + other.zeros)

    def __neg__(self) -> "Histogram":
        return Histogram({bucket: -count for bucket, count in self.buckets.items()}, -self.zeros)


def histogram(values: Iterable[float]) -> Histogram:
    buckets: dict[int, int] = {}
    zeros = 0
    for value in values:
        if value > 0:
            bucket = math.floor(math.log(value) / _LOG_GROWTH)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        else:
            zeros += 1
    return Histogram(buckets, zeros)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """Sums over `records`. Costs are exact; times are summed in whole microseconds, speeds in millionths of a token
    a second, so that the order of adding makes no difference.

    `priced` have a cost, `counted` have token counts. Of `compared` both costs are known, the claimed and the computed.
    """

    records: int = 0
    errors: int = 0
    priced: int = 0
    cost: Decimal = Decimal(0)
    compared: int = 0
    compared_claimed: Decimal = Decimal(0)
    compared_computed: Decimal = Decimal(0)
    counted: int = 0
    tokens: Mapping[str, int] = NOTHING
    latency_us: int = 0
    latency: Histogram = Histogram()
    first_token_us: int = 0
    first_token: Histogram = Histogram()
    speeds: int = 0
    speed_millionths: int = 0

    def __add__(self, other: "Rollup") -> "Rollup":
        return Rollup(
            records=self.records + other.records,
            errors=self.errors + other.errors,
            priced=self.priced + other.priced,
            cost=exact_sum((self.cost, other.cost)),
            compared=self.compared + other.compared,
            compared_claimed=exact_sum((self.compared_claimed, other.compared_claimed)),
            compared_computed=exact_sum((self.compared_computed, other.compared_computed)),
            counted=self.counted + other.counted,
            tokens=added_tokens(self.tokens, other.tokens),
            latency_us=self.latency_us + other.latency_us,
            latency=self.latency + other.latency,
            first_token_us=self.first_token_us + other.first_token_us,
            first_token=self.first_token + other.first_token,
            speeds=self.speeds + other.speeds,
            speed_millionths=self.speed_millionths + other.speed_millionths,
        )

    def __neg__(self) -> "Rollup":
        """What takes these records away again where it is added."""
        return Rollup(
            records=-self.records,
            errors=-self.errors,
            priced=-self.priced,
            cost=self.cost.copy_negate(),
            compared=-self.compared,
            compared_claimed=self.compared_claimed.copy_negate(),
            compared_computed=self.compared_computed.copy_negate(),
            counted=-self.counted,
            tokens={kind: -count for kind, count in self.tokens.items()},
            latency_us=-self.latency_us,
            latency=-self.latency,
            first_token_us=-self.first_token_us,
            first_token=-self.first_token,
            speeds=-self.speeds,
            speed_millionths=-self.speed_millionths,
        )

    def totals(self) -> Totals:
        return Totals(
            records=self.records,
            errors=self.errors,
            priced=self.priced,
            cost=self.cost,
            counted=self.counted,
            prompt_tokens=self.tokens.get("prompt", 0),
            completion_tokens=self.tokens.get("completion", 0),
            cached_tokens=self.tokens.get("cached", 0),
            timed=self.latency.count,
            latency_ms=self.latency_us / 1000,
            first_token_timed=self.first_token.count,
            first_token_ms=self.first_token_us / 1000,
            speeds=self.speeds,
            speed=self.speed_millionths / 1_000_000,
        )


def rollup(records: Iterable[Record]) -> Rollup:
    found = list(records)
    costs = [record.cost for record in found if record.cost is not None]
    both = [
        (record.claimed_cost, record.computed_cost)
        for record in found
        if record.claimed_cost is not None and record.computed_cost is not None
    ]
    usages = [record.claimed_usage for record in found if record.claimed_usage is not None]
    latencies = [record.latency_ms for record in found if record.latency_ms is not None]
    first_tokens = [record.first_token_ms for record in found if record.first_token_ms is not None]
    speeds = [speed for record in found if (speed := record.speed) is not None and math.isfinite(speed)]
    tokens: dict[str, int] = {}
    for kind in TOKEN_KINDS:
        if said := sum(getattr(usage, kind) or 0 for usage in usages):
            tokens[kind] = said
    return Rollup(
        records=len(found),
        errors=sum(record.outcome != "complete" for record in found),
        priced=len(costs),
        cost=exact_sum(costs),
        compared=len(both),
        compared_claimed=exact_sum(claimed for claimed, _ in both),
        compared_computed=exact_sum(computed for _, computed in both),
        counted=len(usages),
        tokens=tokens,
        latency_us=sum(round(value * 1000) for value in latencies),
        latency=histogram(latencies),
        first_token_us=sum(round(value * 1000) for value in first_tokens),
        first_token=histogram(first_tokens),
        speeds=len(speeds),
        speed_millionths=sum(round(value * 1_000_000) for value in speeds),
    )


def rollups(records: Iterable[Record]) -> Mapping[Dimensions, Rollup]:
    """Every record is in one rollup of each family."""
    groups: dict[Dimensions, list[Record]] = {}
    for record in records:
        for family in FIELDS:
            groups.setdefault(dimensions(record, family), []).append(record)
    return {each: rollup(members) for each, members in groups.items()}


def dimensions(record: Record, family: Family) -> Dimensions:
    return Dimensions(family, tuple(getattr(record, field) for field in FIELDS[family]))


def moves(changed: Iterable[tuple[Record, Record]]) -> Mapping[Dimensions, Rollup]:
    """What is to be added where records, given as they were and as they are, have changed their dimensions."""
    found: dict[Dimensions, Rollup] = {}
    for old, new in changed:
        for family in FIELDS:
            was, now = dimensions(old, family), dimensions(new, family)
            if was != now:
                found[was] = found.get(was, Rollup()) + -rollup([old])
                found[now] = found.get(now, Rollup()) + rollup([new])
    return found


def added_tokens(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    """A kind that sums up to nothing is left out."""
    return {kind: count for kind in TOKEN_KINDS if (count := one.get(kind, 0) + other.get(kind, 0))}


def family_for(field: GroupField | None) -> Family | None:
    """The rollups from which the sums by this field can be made; None if records are needed."""
    if field is None:
        return "calls"
    return next((family for family, fields in FIELDS.items() if field in fields), None)


def regrouped(
    found: Iterable[tuple[Dimensions, Rollup]], of: Callable[[Dimensions], str | None]
) -> dict[str | None, Rollup]:
    """The sums of the rollups to which `of` gives the same key."""
    groups: dict[str | None, Rollup] = {}
    for dimensions, each in found:
        key = of(dimensions)
        groups[key] = groups[key] + each if key in groups else each
    return groups
