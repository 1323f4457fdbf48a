"""How a call or a configuration asks for fallbacks, retries, shares of calls and deadlines, in anybody's names.

`fallback_config` and `fallback_model` are Maitai's, `fallback_models`, `retry_params`, `load_balance_models`,
`first_token_timeout` and `disable_fallback` Keywords AI's (respan-sdk 2.9.0, param_types.py); the others are Weir's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.domain.routing import NO_RETRIES, Deadlines, Retries, Routing, Share, Strategy
from weir.http.chat_request import NAME_LIMIT, Whole
from weir.http.validation import validated

FALLBACKS_LIMIT = 10
RETRIES_LIMIT = 10
SHARES_LIMIT = 100

DEADLINE_PARAMETERS = frozenset({"connect_timeout", "first_token_timeout", "between_tokens_timeout", "timeout"})
ROUTING_PARAMETERS = DEADLINE_PARAMETERS | {
    "fallback_config",
    "fallback_model",
    "fallback_models",
    "retry_params",
    "load_balance_models",
}

Model = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
_OPEN = ConfigDict(extra="allow", strict=True, defer_build=True)


class FallbackBody(BaseModel):
    """Maitai's. `timeout` is the seconds that the strategy `timeout` waits for a first token."""

    model_config = _OPEN

    model: Annotated[str, Field(max_length=NAME_LIMIT)] | None = None
    strategy: Strategy | None = None
    timeout: Seconds | None = None

    @model_validator(mode="after")
    def _waits(self) -> Self:
        if self.strategy == "timeout" and not self.timeout:
            param = "fallback_config.timeout"
            raise RequestInvalid(f"'{param}' must be above 0 for the strategy 'timeout'.", param=param)
        return self


class RetryBody(BaseModel):
    """Keywords AI's. `retry_after` is the first pause, in seconds."""

    model_config = _OPEN

    num_retries: Annotated[Whole, Field(ge=0, le=RETRIES_LIMIT)] | None = None
    retry_after: Annotated[float, Field(gt=0, le=60)] | None = None
    retry_enabled: StrictBool | None = None


class ShareBody(BaseModel):
    """One of Keywords AI's `load_balance_models`."""

    model_config = _OPEN

    model: Model
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1


class RoutingBody(BaseModel):
    """Durations are seconds; in a call, 0 says that there is to be no such deadline."""

    model_config = _OPEN

    fallback_config: FallbackBody | None = None
    fallback_model: Annotated[str, Field(max_length=NAME_LIMIT)] | None = None
    fallback_models: Annotated[list[Model], Field(max_length=FALLBACKS_LIMIT)] | None = None
    retry_params: RetryBody | None = None
    load_balance_models: Annotated[list[ShareBody], Field(max_length=SHARES_LIMIT)] | None = None
    connect_timeout: Seconds | None = None
    first_token_timeout: Seconds | None = None
    between_tokens_timeout: Seconds | None = None
    timeout: Seconds | None = None

    @property
    def fallbacks(self) -> tuple[str, ...]:
        one = (self.fallback_config.model if self.fallback_config is not None else None) or self.fallback_model
        return ((one,) if one else ()) + tuple(self.fallback_models or ())

    @property
    def deadlines(self) -> Deadlines:
        return Deadlines(
            connect_s=self.connect_timeout,
            first_token_s=self.first_token_timeout,
            between_tokens_s=self.between_tokens_timeout,
            total_s=self.timeout,
        )


_UNSAID = RoutingBody.model_construct()


def to_routing(
    said: Mapping[str, Any],
    config: Mapping[str, Any] = NOTHING,
    *,
    model: str | None = None,
    no_fallbacks: bool = False,
) -> tuple[Routing | None, tuple[str, ...]]:
    """What holds for a call, and what its record is to be warned of; None where it is one request to one model.

    `said` are the call's own parameters, which go before those of `config`, each by itself and whole: those that name
    fallbacks count as one. The call's own `model` goes before a configured split that does not name it, `no_fallbacks`
    before all. Raises RequestInvalid that names the wrong one of the call's. A wrong one of the configuration's is not
    the caller's fault: the call is made without what is configured.
    """
    warnings: tuple[str, ...] = ()
    body, rule = _UNSAID, _UNSAID
    if own := _named(said):
        body = validated(RoutingBody, own)
    if configured := _named(config):
        try:
            rule = validated(RoutingBody, configured)
        except RequestInvalid as exc:
            warnings = (f"the configured routing was left aside: {exc}",)
    group = body if body.fallbacks else rule
    how = group.fallback_config or FallbackBody()
    fallbacks = () if no_fallbacks else group.fallbacks
    strategy: Strategy = (how.strategy or "reactive") if fallbacks else "reactive"
    routing = Routing(
        strategy=strategy,
        fallbacks=fallbacks,
        wait_s=how.timeout if strategy == "timeout" else None,
        retries=_retries(body.retry_params or rule.retry_params),
        shares=_shares(body) or _among(_shares(rule), model),
        deadlines=body.deadlines.over(_above_zero(rule.deadlines)),
    )
    return (None if routing == _PLAIN else routing), warnings


_PLAIN = Routing()

_REMEMBERED = 1_000
_configured: dict[tuple[str | None, ...], tuple[Mapping[str, Any], tuple[Routing | None, tuple[str, ...]]]] = {}


def configured_routing(
    config: Mapping[str, Any], model: str | None, place: tuple[str | None, ...]
) -> tuple[Routing | None, tuple[str, ...]]:
    """`to_routing` of a call that says nothing of its own, which most calls of an application do.

    Remembered for as long as the very same `config` is in use at its `place`; nobody may change it.
    """
    key = *place, model
    known = _configured.get(key)
    if known is not None and known[0] is config:
        return known[1]
    if len(_configured) >= _REMEMBERED:
        _configured.clear()
    found = to_routing(NOTHING, config, model=model)
    _configured[key] = config, found
    return found


def _named(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in ROUTING_PARAMETERS & parameters.keys() if parameters[name] is not None}


def _above_zero(deadlines: Deadlines) -> Deadlines:
    """Maitai's clients write 0 for a `timeout` that nobody set."""
    return Deadlines(
        connect_s=deadlines.connect_s or None,
        first_token_s=deadlines.first_token_s or None,
        between_tokens_s=deadlines.between_tokens_s or None,
        total_s=deadlines.total_s or None,
    )


def _retries(body: RetryBody | None) -> Retries:
    """Keywords AI's defaults: three times, after 0.2 s."""
    if body is None or body.retry_enabled is False:
        return NO_RETRIES
    count = 3 if body.num_retries is None else body.num_retries
    return Retries(count, body.retry_after or 0.2) if count else NO_RETRIES


def _among(shares: tuple[Share, ...], model: str | None) -> tuple[Share, ...]:
    return shares if model is None or any(share.model == model for share in shares) else ()


def _shares(body: RoutingBody) -> tuple[Share, ...]:
    return tuple(Share(each.model, each.weight) for each in body.load_balance_models or ())
