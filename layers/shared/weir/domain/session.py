"""What is known of a session as a whole: sums over its calls, and whose it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from weir.domain.completion import NOTHING
from weir.domain.ids import instant_of
from weir.domain.record import Environment, Record
from weir.domain.rollup import TOKEN_KINDS, rollup
from weir.domain.totals import exact_sum


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`first_id` and `last_id` are its calls' lowest and highest ids, which begin with their times.

    Application, environment, customer and user are those of the first call. `cost` is None when no call has one.
    """

    id: str
    first_id: str
    last_id: str
    environment: Environment
    application: str | None = None
    customer_identifier: str | None = None
    user_id: str | None = None
    calls: int = 0
    errors: int = 0
    tokens: Mapping[str, int] = NOTHING
    cost: Decimal | None = None

    @property
    def began_at(self) -> datetime:
        return instant_of(self.first_id)

    @property
    def last_at(self) -> datetime:
        return instant_of(self.last_id)

    def __add__(self, other: "Session") -> "Session":
        first = min(self, other, key=lambda each: each.first_id)
        costs = [each.cost for each in (self, other) if each.cost is not None]
        return Session(
            id=self.id,
            first_id=first.first_id,
            last_id=max(self.last_id, other.last_id),
            environment=first.environment,
            application=first.application,
            customer_identifier=first.customer_identifier,
            user_id=first.user_id,
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            tokens={
                kind: self.tokens.get(kind, 0) + other.tokens.get(kind, 0)
                for kind in TOKEN_KINDS
                if kind in self.tokens or kind in other.tokens
            },
            cost=exact_sum(costs) if costs else None,
        )


def sessions(records: Iterable[Record]) -> Mapping[str, Session]:
    """By session id; records without one are in none."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.session_id is not None:
            groups.setdefault(record.session_id, []).append(record)
    return {id: _session(id, members) for id, members in groups.items()}


def _session(id: str, calls: list[Record]) -> Session:
    first, sums = min(calls, key=lambda call: call.id), rollup(calls)
    return Session(
        id=id,
        first_id=first.id,
        last_id=max(call.id for call in calls),
        environment=first.environment,
        application=first.application,
        customer_identifier=first.customer_identifier,
        user_id=first.user_id,
        calls=sums.records,
        errors=sums.errors,
        tokens=sums.tokens,
        cost=sums.cost if sums.priced else None,
    )
