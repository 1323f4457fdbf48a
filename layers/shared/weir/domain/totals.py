"""Sums over records, for summaries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Literal

from weir.domain.record import Record

GroupField = Literal[
    "model",
    "provider",
    "prompt_id",
    "deployment",
    "custom_identifier",
    "customer_identifier",
    "trace_id",
    "session_id",
]
"""The fields of a Record by which sums are grouped."""

_EXACT = Context(prec=1_000)
"""Digits enough for any sum of costs that came as floating point numbers, from 1e308 down to 5e-324."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over `records`, of which `timed` have a latency and so on: an average is over those that have the figure.

    `priced` are those whose cost is known, `counted` those whose tokens are.
    """

    records: int = 0
    errors: int = 0
    priced: int = 0
    cost: Decimal = Decimal(0)
    counted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    timed: int = 0
    latency_ms: float = 0.0
    first_token_timed: int = 0
    first_token_ms: float = 0.0
    speeds: int = 0
    speed: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Totals") -> "Totals":
        sums = {name: getattr(self, name) + getattr(other, name) for name in self.__slots__ if name != "cost"}
        return Totals(**sums, cost=exact_sum((self.cost, other.cost)))


def total(records: Iterable[Record]) -> Totals:
    """The cost is exact; an engine that sums by itself may be off by a rounding error."""
    found = list(records)
    costs = [record.cost for record in found if record.cost is not None]
    usages = [record.claimed_usage for record in found if record.claimed_usage is not None]
    latencies = [record.latency_ms for record in found if record.latency_ms is not None]
    first_tokens = [record.first_token_ms for record in found if record.first_token_ms is not None]
    speeds = [speed for record in found if (speed := record.speed) is not None]
    return Totals(
        records=len(found),
        errors=sum(record.outcome != "complete" for record in found),
        priced=len(costs),
        cost=exact_sum(costs),
        counted=len(usages),
        prompt_tokens=sum(usage.prompt for usage in usages),
        completion_tokens=sum(usage.completion for usage in usages),
        cached_tokens=sum(usage.cached or 0 for usage in usages),
        timed=len(latencies),
        latency_ms=sum(latencies),
        first_token_timed=len(first_tokens),
        first_token_ms=sum(first_tokens),
        speeds=len(speeds),
        speed=sum(speeds),
    )


def grouped(records: Iterable[Record], field: GroupField | None) -> Mapping[str | None, Totals]:
    """The totals of every value of `field`; without a field, all under None."""
    of: Callable[[Record], str | None] = (lambda record: None) if field is None else lambda r: getattr(r, field)
    groups: dict[str | None, list[Record]] = {}
    for record in records:
        groups.setdefault(of(record), []).append(record)
    return {key: total(members) for key, members in groups.items()}


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Without the rounding to 28 digits of the usual arithmetic."""
    with localcontext(_EXACT):
        return sum(amounts, Decimal(0))
