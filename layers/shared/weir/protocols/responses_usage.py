"""Token counts in the form of the Responses API, with the places where vendors put theirs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from weir.domain.completion import NOTHING, Usage

_NAMED = frozenset({"input_tokens", "output_tokens", "total_tokens"})
_DETAILS: Mapping[str, frozenset[str]] = {
    "input_tokens_details": frozenset({"cached_tokens", "cache_write_tokens"}),
    "output_tokens_details": frozenset({"reasoning_tokens"}),
}


def usage_of(usage: Mapping[str, Any]) -> Usage | None:
    """None when the provider gave no count. Whatever has no name in Usage is kept in `extra`, as it came."""
    prompt, completion = usage.get("input_tokens"), usage.get("output_tokens")
    if prompt is None or completion is None:
        return None
    read = usage.get("input_tokens_details") or NOTHING
    reasoning = (usage.get("output_tokens_details") or NOTHING).get("reasoning_tokens")
    if reasoning and usage.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # counted beside the output, as xAI does it; the total shows it
    return Usage(
        prompt,
        completion,
        cached=read.get("cached_tokens"),
        cache_written=read.get("cache_write_tokens"),
        reasoning=reasoning,
        cost=_cost(usage),
        extra=_extra(usage),
    )


def _cost(usage: Mapping[str, Any]) -> Decimal | None:
    """OpenRouter gives dollars, xAI ticks of 1e-10 dollars (https://docs.x.ai/developers/cost-tracking)."""
    if isinstance(usage.get("cost"), int | float):
        return Decimal(str(usage["cost"]))
    if isinstance(usage.get("cost_in_usd_ticks"), int):
        return Decimal(usage["cost_in_usd_ticks"]).scaleb(-10)
    return None


def _extra(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    extra: dict[str, Any] = {}
    for name, value in usage.items():
        if name in _NAMED or value is None:
            continue
        if name in _DETAILS:
            value = {k: v for k, v in value.items() if k not in _DETAILS[name] and v is not None}
        if value != {}:
            extra[name] = value
    return extra or NOTHING
