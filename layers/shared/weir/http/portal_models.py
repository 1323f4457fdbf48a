"""Models as the developer API shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from weir.domain.errors import RequestInvalid

ModelType = Literal["llm", "embedding"]
_TYPES: tuple[ModelType, ...] = get_args(ModelType)


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """`name` is what callers send, `provider/model`. `prices` are dollars a million, by kind of token, for the smallest
    prompts; empty when they are not known.
    """

    id: int
    provider: str
    name: str
    type: ModelType
    prices: Mapping[str, Decimal]
    price_version: str | None


def model_view(model: OfferedModel) -> dict[str, Any]:
    view = {
        "id": model.id,
        "model": model.name,
        "provider": model.provider,
        "model_type": model.type,
        "status": "ENABLED",
        "finetuned": False,
    }
    if not model.prices:
        return view
    prices = {kind: float(price) for kind, price in model.prices.items()}
    return {**view, "prices": prices, "price_version": model.price_version}


def to_model_types(given: list[str]) -> tuple[str, ...]:
    """The types that are asked for; all of them when none is named. Raises RequestInvalid."""
    for name in given:
        if name not in _TYPES:
            raise RequestInvalid(f"'model_type' must be {' or '.join(_TYPES)}.", param="model_type")
    return tuple(given) or _TYPES
