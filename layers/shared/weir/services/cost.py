"""What a call cost by our own reckoning. Prices are imported when the first call is reckoned, not before."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from weir.domain.completion import Usage
from weir.domain.record import Record

if TYPE_CHECKING:
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
    place = _place(model)
    if place is None:
        return None
    cost = cost_of_answer(place[0], None, place[1], Usage(prompt, completion), at)
    return None if cost is None else cost.dollars


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
def _place(name: str) -> tuple[str, str] | None:
    """Provider and model, by the rules for the names that our own callers send."""
    from weir.providers.catalog import CATALOG, named

    found = named(name, {provider.name: provider for provider in CATALOG})
    if found is None:
        return None
    provider, model = found
    return provider.name, provider.split(model)[1]
