"""What is known of a session as a whole: sums over its calls, and whose it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from weir.domain.completion import NOTHING
from weir.domain.ids import instant_of
from weir.domain.record import Environment, Record
from weir.domain.rollup import added_tokens, rollup
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
            tokens=added_tokens(self.tokens, other.tokens),
            cost=exact_sum(costs) if costs else None,
        )

    def without(self, call: "Session") -> "Session":
        """The sums without those of a call that went to another session; its id may still be the first or last."""
        return replace(
            self,
            calls=self.calls - call.calls,
            errors=self.errors - call.errors,
            tokens=added_tokens(self.tokens, {kind: -count for kind, count in call.tokens.items()}),
            cost=self.cost if self.cost is None or call.cost is None else exact_sum((self.cost, -call.cost)),
        )

    def of(self, call: "Session") -> "Session":
        """With what is known of the call now, if it is the first."""
        if call.first_id != self.first_id:
            return self
        return replace(self, customer_identifier=call.customer_identifier, user_id=call.user_id)


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
