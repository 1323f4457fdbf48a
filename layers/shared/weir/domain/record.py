"""What the ledger keeps of a call: one small Record, and its Payload beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypedDict

from weir.domain.completion import NOTHING, Usage

Environment = Literal["prod", "test"]
Origin = Literal["completion", "storage", "request_log", "trace"]
"""The way in: through the gateway, the store-only route, the request-log route, or as a span of a trace."""
RequestType = Literal["PROD", "RERUN", "SYNTHETIC", "MANUAL"]
InferenceLocation = Literal["SERVER", "CLIENT"]
Outcome = Literal["complete", "error", "cut_off", "caller_gone"]
"""`cut_off`: the provider broke off after it had begun; `caller_gone`: the caller hung up before the end."""
AttemptOutcome = Literal["answered", "failed", "cancelled", "skipped"]
"""`cancelled`: another one was faster, or the caller hung up; `skipped`: its provider had failed too often."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call has no whole answer. `kind` is the class of the error; the rest is the provider's, scrubbed."""

    kind: str
    message: str
    code: str | None = None
    provider_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAttempt:
    """One of several requests to providers that a call took. None means unknown.

    `model` is named as the call or its configuration names it. `begun_ms` counts from the call's own beginning, the
    other times from `begun_ms`. `failure` is the kind of the Failure, `status` the provider's. `estimated_cost` is the
    least that a request costs of which its provider could not tell, because it was cut off.
    """

    provider: str | None = None
    model: str
    outcome: AttemptOutcome
    status: int | None = None
    failure: str | None = None
    begun_ms: float
    first_token_ms: float | None = None
    latency_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    claimed_cost: Decimal | None = None
    computed_cost: Decimal | None = None
    estimated_cost: Decimal | None = None

    @property
    def cost(self) -> Decimal | None:
        """As a Record's."""
        costs = (self.claimed_cost, self.computed_cost, self.estimated_cost)
        return next((cost for cost in costs if cost is not None), None)


class Labels(TypedDict, total=False):
    """What a caller says of a call beside whose it is and what for: fields of a Record, as far as they are given."""

    log_type: str
    custom_identifier: str
    group_identifier: str
    trace_id: str
    span_id: str
    parent_span_id: str
    span_name: str
    workflow_name: str
    prompt_id: str
    prompt_name: str
    deployment: str
    note: str
    positive_feedback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One call, whichever way it came in. None means unknown; it never stands for 0.

    `created_at` is when Weir accepted it (the time inside `id`). `model` is what was asked for, `answered_model` what
    answered. Claimed figures come from the caller or the provider; computed ones from us, under `price_version`.
    Costs are US dollars. `status_code` is what the caller got (or said it got). An Annotation may change `metadata`,
    `note`, `positive_feedback` and `custom_identifier` later, add the client's own times, which include the way here
    and back, and give the call its place in a trace; the rest stays as it was. So does the answer: a correction lies
    beside it, since `corrected_at`. `session_review` is what was said of the session, on its first record. `revision`
    counts those changes.

    `attempts` are there when there were several, in the order in which they began, and `fallback_reason` when another
    model than the first answered: `provider` and `model` are then its. The costs are those of all attempts: to what the
    answer cost by either reckoning, the known and the estimated costs of the others are added.

    `writer` names the process that accepted the call and says the how many-eth of its calls it was, as `<name>:<n>`:
    a number that nobody finds is a call that was accepted and not kept.

    `cache_key`: where the answer was put for the same call to find it. `cached_from`: the id of the call whose answer
    this one got, without asking a provider.
    """

    id: str
    workspace: str
    environment: Environment
    created_at: datetime
    origin: Origin
    inference_location: InferenceLocation
    request_type: RequestType = "PROD"
    caller_id: str | None = None
    application: str | None = None
    intent: str | None = None
    session_id: str | None = None
    reference_id: str | None = None
    user_id: str | None = None
    customer_identifier: str | None = None
    provider: str | None = None
    model: str | None = None
    answered_model: str | None = None
    stream: bool = False
    status_code: int = 200
    outcome: Outcome = "complete"
    failure: Failure | None = None
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    claimed_usage: Usage | None = None
    claimed_cost: Decimal | None = None
    computed_cost: Decimal | None = None
    price_version: str | None = None
    first_token_ms: float | None = None
    latency_ms: float | None = None
    client_first_token_ms: float | None = None
    client_latency_ms: float | None = None
    metadata: Mapping[str, Any] = NOTHING
    warnings: tuple[str, ...] = ()
    log_type: str | None = None
    custom_identifier: str | None = None
    group_identifier: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    span_name: str | None = None
    workflow_name: str | None = None
    prompt_id: str | None = None
    prompt_name: str | None = None
    deployment: str | None = None
    tokens_per_second: float | None = None
    note: str | None = None
    positive_feedback: bool | None = None
    writer: str | None = None
    corrected_at: datetime | None = None
    session_review: Mapping[str, Any] = NOTHING
    fallback_reason: str | None = None
    attempts: tuple[ProviderAttempt, ...] = ()
    cache_key: str | None = None
    cached_from: str | None = None
    revision: int = 0

    @property
    def cost(self) -> Decimal | None:
        """What was claimed goes before what was computed: who was billed knows better than our price table."""
        return self.claimed_cost if self.claimed_cost is not None else self.computed_cost

    @property
    def speed(self) -> float | None:
        """Completion tokens a second: as claimed, or over the whole time that the call took."""
        if self.tokens_per_second is not None:
            return self.tokens_per_second
        if self.claimed_usage is None or not self.latency_ms:
            return None
        return self.claimed_usage.completion * 1000 / self.latency_ms


@dataclass(frozen=True, slots=True)
class Payload:
    """The raw material of a call, scrubbed of keys, as it came.

    `request` is the caller's body and `response` the answer it got or reported, both JSON texts in the caller's
    dialect. `reply` are the provider's own bytes as far as they came; None where Weir did not make the call.
    `expired`: it has been kept as long as it was to be, and nothing of it is left.
    """

    request: bytes
    response: bytes | None = None
    reply: bytes | None = None
    expired: bool = False


EXPIRED = Payload(b"{}", expired=True)
