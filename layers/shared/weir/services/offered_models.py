"""The models that the configured providers offer, with what they cost."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.errors import NotFound
from weir.http.portal_models import OfferedModel
from weir.prices.compiled import PRICE_VERSION
from weir.prices.table import prices_of
from weir.providers.models import ModelList

_ID_BYTES = 6
"""JavaScript reads whole numbers up to 53 bits."""


class OfferedModels:
    def __init__(self, models: ModelList) -> None:
        self._models = models

    async def all(self, at: datetime) -> tuple[OfferedModel, ...]:
        """By name, at the prices of an instant."""
        found = [_offered(entry, at) for entry in await self._models.offered()]
        return tuple(sorted(found, key=lambda model: model.name))

    async def model(self, id: int, at: datetime) -> OfferedModel:
        """Raises NotFound."""
        for model in await self.all(at):
            if model.id == id:
                return model
        raise NotFound(f"There is no model {id}.")


def model_id(name: str) -> int:
    """A number for the model's name: providers give none, and Maitai's command line takes nothing else."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=_ID_BYTES).digest(), "big")


def _offered(entry: Mapping[str, Any], at: datetime) -> OfferedModel:
    name: str = entry["id"]
    provider, _, model = name.partition("/")
    known = prices_of(provider, model)
    prices: Mapping[str, Decimal] = NOTHING
    if known is not None:
        prices = {kind: rate.base.scaleb(6) for kind, rate in known.at(at, None).by_kind.items()}
    return OfferedModel(
        id=model_id(name),
        provider=provider,
        name=name,
        type="embedding" if "embed" in model.lower() else "llm",  # no provider's list says which
        prices=prices,
        price_version=PRICE_VERSION if prices else None,
    )
