"""The requests to providers that one call takes, while they run, and what its record says of them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from weir.domain.chat import ChatCall
from weir.domain.completion import Usage
from weir.domain.embedding import EmbeddingCall
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderError,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    WeirError,
)
from weir.domain.limit import estimate
from weir.domain.record import AttemptOutcome, ProviderAttempt
from weir.domain.totals import exact_sum
from weir.providers.client import Exchange
from weir.providers.registry import Target
from weir.services.cost import cost_of_answer

OVERTAKEN = "first_response"
CIRCUIT_OPEN = "circuit_open"


@dataclass(slots=True)
class Try:
    """One request to one provider: `call`, once it is made. `outcome` is None while it runs, and while its answer is
    passed on.

    `begun_ms` counts from the beginning of the call, the other times from `begun_ms`.
    """

    model: str
    begun_ms: float
    target: Target | None = None
    call: ChatCall | None = None
    exchange: Exchange = field(default_factory=Exchange)
    outcome: AttemptOutcome | None = None
    error: WeirError | None = None
    first_token_ms: float | None = None
    latency_ms: float | None = None
    answered_model: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None

    def end(self, outcome: AttemptOutcome, at_ms: float, error: WeirError | None = None) -> None:
        """What has ended stays as it was."""
        if self.outcome is None:
            self.outcome, self.error = outcome, error
            self.latency_ms = None if outcome == "skipped" else round(at_ms - self.begun_ms, 3)

    def heard(self, model: str | None, usage: Usage | None, service_tier: str | None) -> None:
        self.answered_model, self.usage, self.service_tier = model, usage, service_tier

    @property
    def provider(self) -> str | None:
        if self.target is not None:
            return self.target.provider.name
        return self.error.provider if isinstance(self.error, ProviderError) else None

    @property
    def cut_off(self) -> bool:
        """Weir hung up while the provider was at it, which will ask for the prompt all the same."""
        own = isinstance(self.error, ProviderTimeout) and self.error.status is None
        return self.target is not None and (self.outcome == "cancelled" or own)

    def to_attempt(self, call: ChatCall | EmbeddingCall, accepted_at: datetime) -> ProviderAttempt:
        """With its cost at the prices of that time; of one that was cut off, at least what `call` costs to read."""
        asked = self.target.model if self.target is not None else self.model
        cost = cost_of_answer(self.provider, self.answered_model, asked, self.usage, accepted_at, self.service_tier)
        estimated = None
        if self.usage is None and self.cut_off:
            estimated = cost_of_answer(self.provider, None, asked, Usage(estimate(call).prompt, 0), accepted_at)
        return ProviderAttempt(
            provider=self.provider,
            model=self.model,
            outcome=self.outcome or "cancelled",
            status=self.exchange.status,
            failure=_failure(self),
            begun_ms=self.begun_ms,
            first_token_ms=self.first_token_ms,
            latency_ms=self.latency_ms,
            prompt_tokens=self.usage.prompt if self.usage is not None else None,
            completion_tokens=self.usage.completion if self.usage is not None else None,
            claimed_cost=self.usage.cost if self.usage is not None else None,
            computed_cost=cost.dollars if cost is not None else None,
            estimated_cost=estimated.dollars if estimated is not None else None,
        )


def fallback_reason(first: Try) -> str:
    """Why another model answered than the first; `first` is the last that was tried of that one."""
    match first.error:
        case None if first.outcome == "skipped":
            return CIRCUIT_OPEN
        case ProviderThrottled():
            return "throttled"
        case ProviderTimeout():
            return "timeout"
        case ProviderUnavailable():
            return "unavailable"
        case MalformedReply():
            return "malformed_reply"
        case ProviderAuthFailed():
            return "auth_failed"
        case None:
            return OVERTAKEN
        case _:
            return "rejected"


def known_cost(attempts: tuple[ProviderAttempt, ...]) -> Decimal | None:
    """What they cost together, as far as it is known or estimated."""
    costs = [cost for attempt in attempts if (cost := attempt.cost) is not None]
    return exact_sum(costs) if costs else None


def added(cost: Decimal | None, others: Decimal | None) -> Decimal | None:
    """`cost` with that of the others. What is not known does not become known by them."""
    return cost if cost is None or others is None else exact_sum((cost, others))


def _failure(tried: Try) -> str | None:
    if tried.outcome == "skipped":
        return "CircuitOpen"
    return type(tried.error).__name__ if tried.error is not None else None
