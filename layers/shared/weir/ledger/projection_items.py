"""Rollups and sessions as JSON texts, short enough for a write unit: sums of nothing are left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from weir.domain.rollup import Dimensions, Histogram, Rollup
from weir.domain.session import Session
from weir.protocols import jsonbytes


@dataclass(frozen=True, slots=True)
class RollupRow:
    """One hour's sums. `taken` is the last of the archive's objects for that hour that is in them."""

    dimensions: Dimensions
    taken: int
    rollup: Rollup


@dataclass(frozen=True, slots=True)
class SessionRow:
    """`taken` says the same of every hour that the session has calls in."""

    session: Session
    taken: Mapping[str, int]


def to_rollup_item(row: RollupRow) -> bytes:
    sums = row.rollup
    item: dict[str, Any] = {
        "family": row.dimensions.family,
        "by": row.dimensions.values,
        "taken": row.taken,
        "records": sums.records,
        "errors": sums.errors,
        "cost": [sums.priced, str(sums.cost)] if sums.priced else None,
        "costs": [sums.compared, str(sums.compared_claimed), str(sums.compared_computed)] if sums.compared else None,
        "counted": sums.counted,
        "tokens": sums.tokens,
        "latency": _to_times(sums.latency_us, sums.latency),
        "first_token": _to_times(sums.first_token_us, sums.first_token),
        "speed": [sums.speeds, sums.speed_millionths] if sums.speeds else None,
    }
    return jsonbytes.dumps({name: value for name, value in item.items() if value})


def from_rollup_item(content: bytes) -> RollupRow:
    item: Mapping[str, Any] = jsonbytes.loads(content)
    priced, cost = item.get("cost", (0, "0"))
    compared, claimed, computed = item.get("costs", (0, "0", "0"))
    latency_us, latency = _from_times(item.get("latency"))
    first_token_us, first_token = _from_times(item.get("first_token"))
    speeds, speed_millionths = item.get("speed", (0, 0))
    sums = Rollup(
        records=item.get("records", 0),
        errors=item.get("errors", 0),
        priced=priced,
        cost=Decimal(cost),
        compared=compared,
        compared_claimed=Decimal(claimed),
        compared_computed=Decimal(computed),
        counted=item.get("counted", 0),
        tokens=item.get("tokens", {}),
        latency_us=latency_us,
        latency=latency,
        first_token_us=first_token_us,
        first_token=first_token,
        speeds=speeds,
        speed_millionths=speed_millionths,
    )
    return RollupRow(Dimensions(item["family"], tuple(item["by"])), item["taken"], sums)


def to_session_item(row: SessionRow) -> bytes:
    session = row.session
    item: dict[str, Any] = {
        "id": session.id,
        "first_id": session.first_id,
        "last_id": session.last_id,
        "environment": session.environment,
        "application": session.application,
        "customer_identifier": session.customer_identifier,
        "user_id": session.user_id,
        "calls": session.calls,
        "errors": session.errors,
        "tokens": session.tokens,
        "cost": None if session.cost is None else str(session.cost),
        "taken": row.taken,
    }
    return jsonbytes.dumps({name: value for name, value in item.items() if value is not None})


def from_session_item(content: bytes) -> SessionRow:
    item: dict[str, Any] = jsonbytes.loads(content)
    taken = item.pop("taken")
    cost = item.pop("cost", None)
    return SessionRow(Session(**item, cost=None if cost is None else Decimal(cost)), taken)


def _to_times(sum_us: int, histogram: Histogram) -> list[int] | None:
    """The sum, the zeros, then each bucket as its distance from the one before and its count."""
    if not histogram.count:
        return None
    times, last = [sum_us, histogram.zeros], 0
    for bucket in sorted(histogram.buckets):
        times += [bucket - last, histogram.buckets[bucket]]
        last = bucket
    return times


def _from_times(times: list[int] | None) -> tuple[int, Histogram]:
    if times is None:
        return 0, Histogram()
    buckets, bucket = {}, 0
    for distance, count in zip(times[2::2], times[3::2], strict=True):
        bucket += distance
        buckets[bucket] = count
    return times[0], Histogram(buckets, times[1])
