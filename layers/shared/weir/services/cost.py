"""What a call cost by our own reckoning. Prices are imported when the first call is reckoned, not before."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from weir.domain.completion import Usage
from weir.domain.record import Record

if TYPE_CHECKING:
    from weir.prices.rates import Rates
    from weir.prices.table import Cost


def cost_of_answer(
    provider: str | None,
    answered: str | None,
    asked: str,
    usage: Usage | None,
    at: datetime,
    service_tier: str | None = None,
) -> "Cost | None":
    """By the model that answered, or else by the one that was asked: what answers is often a name of its own making."""
    if provider is None or usage is None:
        return None
    from weir.prices.table import cost_of

    for model in (answered, asked):
        if model and (cost := cost_of(provider, model, usage, at, service_tier)) is not None:
            return cost
    return None


def estimated_cost(model: str, prompt: int, completion: int, at: datetime) -> Decimal | None:
    """What a call of the name that a caller gives would cost with so many tokens; None where no price is known."""
    rates = _rates(model, at.replace(second=0, microsecond=0))
    return None if rates is None else rates.charge_tokens(prompt, completion)


def reckoned(record: Record, *, at: datetime) -> Record:
    """The record of a call made elsewhere, with its cost if its provider is named, or clear by its model's name."""
    if record.claimed_usage is None:
        return record
    told = (record.provider, record.model or record.answered_model or "") if record.provider is not None else None
    for place in (told, _place(record.model or "") or _place(record.answered_model or "")):
        if place is not None:
            provider, asked = place
            cost = cost_of_answer(provider, record.answered_model, asked, record.claimed_usage, at)
            if cost is not None:
                return replace(record, computed_cost=cost.dollars, price_version=cost.price_version)
    return record


@lru_cache(maxsize=1024)
def _rates(model: str, minute: datetime) -> "Rates | None":
    """No price begins or ends within a minute."""
    from weir.prices.table import prices_of

    place = _place(model)
    prices = None if place is None else prices_of(*place)
    return None if prices is None else prices.at(minute, None)


@lru_cache(maxsize=1024)
def _place(name: str) -> tuple[str, str] | None:
    """Provider and model, by the rules for the names that our own callers send."""
    from weir.providers.catalog import CATALOG, named

    found = named(name, {provider.name: provider for provider in CATALOG})
    if found is None:
        return None
    provider, model = found
    return provider.name, provider.split(model)[1]
