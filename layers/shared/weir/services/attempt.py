"""A call while it runs, and how it becomes a record, whichever way it ends."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from weir.domain.caching import CacheTerms
from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, FinishReason, Usage
from weir.domain.embedding import EmbeddingCall
from weir.domain.errors import LedgerUnavailable, LimitExceeded, ProviderAuthFailed, ProviderError
from weir.domain.figures import FIGURES
from weir.domain.record import (
    AttemptOutcome,
    Environment,
    Failure,
    Labels,
    Outcome,
    Payload,
    ProviderAttempt,
    Record,
)
from weir.domain.routing import Routing
from weir.http.errors import status_of
from weir.http.scrub import erase, erase_record, erase_text
from weir.ledger.ledger import Ledger
from weir.providers.client import Exchange
from weir.providers.registry import EmbeddingTarget, Target
from weir.services.cost import cost_of_answer
from weir.services.tries import Try, added, known_cost

if TYPE_CHECKING:
    from weir.prices.table import Cost
    from weir.services.limits import Admission

logger = logging.getLogger("weir.complete")

_FAILURE_LENGTH = 500
"""Characters of an error message that a record keeps; the provider's whole answer is in the payload."""

_SETTLING_S = 0.05
"""What a record waits at most for the requests to end that its call's answer has overtaken."""

CALLER_GONE = 499
"""The status of a call whose caller hung up; no HTTP standard has one, this number is in wide use."""

Call = TypeVar("Call", ChatCall, EmbeddingCall)
Place = TypeVar("Place", Target, EmbeddingTarget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Generic[Call]):
    """One caller's wish: the call, whose it is, and what of it is to be kept.

    `model` is the name as the caller wrote it, `key` the id of the caller's key. `request` is the body to keep,
    scrubbed. `provider_keys` are the keys the caller brought, by provider name, and behind them those of its workspace,
    for the providers `lent`; `secrets` everything that must not be kept, these included. `headers` go to the provider.
    `withheld`: the answer is not to be kept, and of `request` only what is no words. `routing` is None for what is one
    request to one model.
    """

    call: Call
    model: str
    workspace: str
    environment: Environment
    request: bytes
    key: str | None = None
    secrets: frozenset[str] = frozenset()
    provider_keys: Mapping[str, str] = NOTHING
    lent: frozenset[str] = frozenset()
    headers: Mapping[str, str] = NOTHING
    caller_id: str | None = None
    application: str | None = None
    intent: str | None = None
    session_id: str | None = None
    reference_id: str | None = None
    user_id: str | None = None
    customer_identifier: str | None = None
    metadata: Mapping[str, object] = NOTHING
    labels: Labels | None = None
    withheld: bool = False
    routing: Routing | None = None
    cache: CacheTerms | None = None
    warnings: tuple[str, ...] = ()


class Caching(Protocol):
    """What lets the same call find the answer to this one. Nothing is raised: an answer is not lost for it."""

    async def keep(self, record: Record, body: bytes) -> Record:
        """The record to be kept: it says where the answer was put, if it was."""
        ...

    async def forget(self, record: Record) -> None:
        """The record was not kept."""
        ...


@dataclass(slots=True)
class Attempt(Generic[Call]):
    """What is known of a call while it runs; becomes its Record.

    `claimed`: its caller's id stands for it already; before, that stood for the record `replaces`, if for any. `tries`
    are the requests that a routed call took, `answering` the one whose answer is the call's, and `overtaken` are done
    when the others have ended. `cached_from`: the id of the call whose answer it gets. `admission`: what the limits
    that hold for it say, if any do. `notices` are told to the caller, and recorded.
    """

    id: str
    ask: Ask[Call]
    accepted_at: datetime
    begun: float
    provider: str | None = None
    exchange: Exchange = field(default_factory=Exchange)
    first_token_ms: float | None = None
    latency_ms: float | None = None
    claimed: bool = False
    replaces: str | None = None
    tries: Sequence[Try] = ()
    answering: Try | None = None
    overtaken: Sequence[asyncio.Task[Any]] = ()
    fallback_reason: str | None = None
    caching: Caching | None = None
    cached_from: str | None = None
    admission: "Admission | None" = None
    notices: tuple[str, ...] = ()

    def aim(self, resolve: Callable[[str, Mapping[str, str]], Place]) -> Place:
        """Where the call goes, by the registry's `resolve`; noted here. Raises what that raises."""
        ask = self.ask
        try:
            target = resolve(ask.model, ask.provider_keys)
        except ProviderError as exc:
            self.provider = exc.provider
            raise
        self.provider = target.provider.name
        self.ask = replace(ask, call=replace(ask.call, model=target.model))
        return target

    def stand_for(self, tried: Try) -> None:
        """From here on the call is this request to a provider: it has answered, or its failure is the call's."""
        self.exchange = tried.exchange
        if tried.target is not None:
            self.provider = tried.target.provider.name
            call: Any = tried.call or replace(self.ask.call, model=tried.target.model)
            self.ask = replace(self.ask, model=tried.model, call=call)
        elif isinstance(tried.error, ProviderError):
            self.provider = tried.error.provider

    async def end(self, outcome: AttemptOutcome, latency_ms: float, error: ProviderError | None = None) -> None:
        """Waits for the requests that were overtaken to have ended, too, which they do at once."""
        self.latency_ms = latency_ms
        if self.answering is not None:
            self.answering.end(outcome, latency_ms, error)
        if self.overtaken:
            await asyncio.wait(self.overtaken, timeout=_SETTLING_S)

    def attempts(self, answered: "Answered | None") -> tuple[ProviderAttempt, ...]:
        """What the record says of the requests, where there were several."""
        if len(self.tries) < 2:
            return ()
        if self.answering is not None and answered is not None:
            self.answering.heard(answered.model, answered.usage, answered.service_tier)
        return tuple(tried.to_attempt(self.ask.call, self.accepted_at) for tried in self.tries)

    @property
    def cost_of_others(self) -> Decimal | None:
        """What is known, or estimated, of the cost of the requests whose answers are not the call's."""
        if len(self.tries) < 2:
            return None
        others = [tried for tried in self.tries if tried is not self.answering]
        return known_cost(tuple(tried.to_attempt(self.ask.call, self.accepted_at) for tried in others))

    @property
    def refused_by(self) -> frozenset[str]:
        """The providers that did not take their keys, although another may have answered."""
        tries = (tried for tried in self.tries if isinstance(tried.error, ProviderAuthFailed))
        return frozenset(tried.provider for tried in tries if tried.provider is not None)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the caller allowed to be dropped and was, as it is told; known once the provider has been asked."""
        return tuple(f"{name} was left out: {self.provider} cannot take it" for name in self.exchange.dropped)

    @property
    def told(self) -> tuple[str, ...]:
        """All that the caller is told beside the answer."""
        return self.notices + self.left_out

    def computed_cost(self, usage: Usage, answered: str | None, service_tier: str | None) -> "Cost | None":
        return cost_of_answer(self.provider, answered, self.ask.call.model, usage, self.accepted_at, service_tier)


@dataclass(frozen=True, slots=True)
class Answered:
    """What is kept of an answer, whole or in part. `body` is what the caller gets, or would have got, as JSON."""

    body: bytes
    model: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    reason: FinishReason | None = None
    raw_reason: str | None = None


class Recorder:
    """Keeps attempts, without `secrets`, those of the process.

    `clock` gives seconds for measuring, `now` the time of day, `new_id` an id for an instant.
    """

    def __init__(
        self,
        ledger: Ledger,
        secrets: frozenset[str],
        *,
        now: Callable[[], datetime],
        new_id: Callable[[datetime], str],
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._now, self._new_id, self._clock = now, new_id, clock

    def begin(self, ask: Ask[Call]) -> Attempt[Call]:
        accepted_at = self._now()
        return Attempt(self._new_id(accepted_at), ask, accepted_at, self._clock())

    def elapsed_ms(self, attempt: Attempt[Call]) -> float:
        return round((self._clock() - attempt.begun) * 1000, 3)

    async def keep(self, attempt: Attempt[Call], answered: Answered) -> tuple[Record, bool]:
        """The record, and whether it is durable now."""
        await attempt.end("answered", self.elapsed_ms(attempt))
        record = _record(attempt, answered)
        if attempt.caching is None:
            return record, await self._put(attempt, record, answered.body)
        record = await attempt.caching.keep(record, answered.body)
        if stored := await self._put(attempt, record, answered.body):
            return record, stored
        await attempt.caching.forget(record)
        return record, stored

    async def keep_failure(
        self, attempt: Attempt[Call], exc: ProviderError, partial: Answered | None = None, outcome: Outcome = "error"
    ) -> ProviderError:
        """The error as the caller may see it: providers like to repeat the key that they refused."""
        await attempt.end("failed", self.elapsed_ms(attempt), exc)
        if (figures := FIGURES.get()) is not None and (exc.retryable or isinstance(exc, ProviderAuthFailed)):
            figures.provider_errors += 1
        shown = self._without_secrets(exc, attempt.ask)
        failure = Failure(type(exc).__name__, str(shown)[:_FAILURE_LENGTH], shown.code, exc.status)
        record = _record(attempt, partial, outcome=outcome, failure=failure, status=status_of(exc))
        await self._put(attempt, record, partial.body if partial is not None else None)
        return shown

    async def keep_abandoned(self, attempt: Attempt[Call], partial: Answered | None) -> None:
        await attempt.end("cancelled", self.elapsed_ms(attempt))
        failure = Failure("CallerGone", "The caller hung up before the answer was complete.")
        record = _record(attempt, partial, outcome="caller_gone", failure=failure, status=CALLER_GONE)
        await self._put(attempt, record, partial.body if partial is not None else None)

    async def keep_refusal(self, attempt: Attempt[Call], error: LimitExceeded, code: str) -> bool:
        """Of a call that a limit stopped, without its body: it costs the same however much was sent."""
        attempt.latency_ms = self.elapsed_ms(attempt)
        attempt.ask = replace(attempt.ask, request=b"{}")
        failure = Failure(type(error).__name__, str(error), code)
        return await self._put(
            attempt, _record(attempt, None, outcome="error", failure=failure, status=status_of(error)), None
        )

    async def _put(self, attempt: Attempt[Call], record: Record, response: bytes | None) -> bool:
        """As `_store`; what limits have set aside for the call is settled meanwhile."""
        admission = attempt.admission
        if admission is None:
            return await self._store(attempt, record, response)
        asyncio.get_running_loop().call_soon(admission.settle, record)  # when the ledger is being waited for
        try:
            return await self._store(attempt, record, response)
        finally:
            admission.settle(record)
            await admission.settled()

    async def _store(self, attempt: Attempt[Call], record: Record, response: bytes | None) -> bool:
        """False when the ledger refused: an answer that is paid for is delivered all the same, the loss is logged."""
        if (figures := FIGURES.get()) is not None:
            figures.first_token_ms = record.first_token_ms
        secrets = self._secrets | attempt.ask.secrets
        withheld = attempt.ask.withheld
        response, reply = (None, None) if withheld else (response, attempt.exchange.reply)
        record = erase_record(record, secrets)
        payload = Payload(
            attempt.ask.request,
            erase(response, secrets) if response is not None else None,
            erase(reply, secrets) if reply is not None else None,
        )
        try:
            kept = await self._ledger.keep(record, payload, claimed=attempt.claimed)
            if not kept.new:
                await self._keep_beside(attempt, record, payload)
        except LedgerUnavailable:
            logger.exception("record not stored", extra={"record_id": record.id, "provider": record.provider})
            if figures is not None:
                figures.unstored += 1
            return False
        return True

    async def _keep_beside(self, attempt: Attempt[Call], record: Record, payload: Payload) -> None:
        """A call that was made all the same is on record, too, when its caller's id has come to stand for another."""
        if attempt.claimed:  # what took the id has taken the place of this record as well
            attempt.id = self._new_id(record.created_at)
        record = replace(record, id=attempt.id, caller_id=f"{record.caller_id} {attempt.id}")
        logger.warning("caller's id taken in the meantime", extra={"record_id": record.id})
        await self._ledger.keep(record, payload)

    def _without_secrets(self, exc: ProviderError, ask: Ask[Call]) -> ProviderError:
        secrets = self._secrets | ask.secrets

        def clean(text: str | None) -> str | None:
            return None if text is None else erase_text(text, secrets)

        return type(exc)(
            erase_text(str(exc), secrets),
            provider=exc.provider,
            status=exc.status,
            code=clean(exc.code),
            type=clean(exc.type),
            param=clean(exc.param),
            retry_after=clean(exc.retry_after),
        )


def _record(
    attempt: Attempt[Call],
    answered: Answered | None,
    *,
    outcome: Outcome = "complete",
    failure: Failure | None = None,
    status: int = 200,
) -> Record:
    ask = attempt.ask
    usage = answered.usage if answered is not None else None
    cost = None
    if answered is not None and usage is not None and attempt.cached_from is None:
        cost = attempt.computed_cost(usage, answered.model, answered.service_tier)
    others = attempt.cost_of_others
    record = Record(
        id=attempt.id,
        workspace=ask.workspace,
        environment=ask.environment,
        created_at=attempt.accepted_at,
        origin="completion",
        inference_location="SERVER",
        caller_id=ask.caller_id,
        application=ask.application,
        intent=ask.intent,
        session_id=ask.session_id,
        reference_id=ask.reference_id,
        user_id=ask.user_id,
        customer_identifier=ask.customer_identifier,
        provider=attempt.provider,
        model=ask.model,
        answered_model=answered.model if answered is not None else None,
        stream=ask.call.stream,
        status_code=status,
        outcome=outcome,
        failure=failure,
        finish_reason=answered.reason if answered is not None else None,
        raw_finish_reason=answered.raw_reason if answered is not None else None,
        claimed_usage=replace(usage, cost=None, extra=NOTHING) if usage is not None else None,
        claimed_cost=added(_claimed(attempt, usage), others),
        computed_cost=added(cost.dollars if cost is not None else None, others),
        price_version=cost.price_version if cost is not None else None,
        first_token_ms=attempt.first_token_ms,
        latency_ms=attempt.latency_ms,
        metadata=ask.metadata,
        fallback_reason=attempt.fallback_reason,
        attempts=attempt.attempts(answered),
        warnings=ask.warnings + attempt.told,
        cached_from=attempt.cached_from,
    )
    return replace(record, **ask.labels) if ask.labels else record


def _claimed(attempt: Attempt[Any], usage: Usage | None) -> Decimal | None:
    if attempt.cached_from is not None:
        return Decimal(0)
    return usage.cost if usage is not None else None
