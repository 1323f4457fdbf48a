"""Token counts in OpenAI's form, with the places where vendors put theirs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from weir.domain.completion import NOTHING, Usage

_NAMED = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_PROMPT_NAMED = frozenset({"cached_tokens", "cache_write_tokens", "audio_tokens"})
_COMPLETION_NAMED = frozenset(
    {"reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"}
)


def usage_of(usage: Mapping[str, Any]) -> Usage | None:
    """None when the provider gave no prompt count. Whatever has no name in Usage is kept in `extra`, as it came.

    A count that is no number counts as not given: an answer is not worth less because of it.
    """
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    prompt_details = _object(usage.get("prompt_tokens_details") or usage.get("prompt_token_details"))
    details = _object(usage.get("completion_tokens_details") or usage.get("completion_token_details"))
    reasoning = _first(details.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    if reasoning and usage.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # xAI and Copilot count reasoning beside the completion; their total shows it
    return Usage(
        prompt,
        completion,
        cached=_first(
            prompt_details.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),  # DeepSeek
            usage.get("cached_tokens"),  # Moonshot, Together
            usage.get("num_cached_tokens"),
            usage.get("cache_read_input_tokens"),
        ),
        cache_written=_first(prompt_details.get("cache_write_tokens"), usage.get("cache_creation_input_tokens")),
        reasoning=reasoning,
        prompt_audio=_count(prompt_details.get("audio_tokens")),
        completion_audio=_count(details.get("audio_tokens")),
        accepted_prediction=_count(details.get("accepted_prediction_tokens")),
        rejected_prediction=_count(details.get("rejected_prediction_tokens")),
        cost=_cost(usage.get("cost")),
        extra=_extra(usage),
    )


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _first(*values: Any) -> int | None:
    return next((count for value in values if (count := _count(value)) is not None), None)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else NOTHING


def _cost(cost: Any) -> Decimal | None:
    if isinstance(cost, dict):  # Perplexity itemises
        cost = cost.get("total_cost")
    return Decimal(str(cost)) if isinstance(cost, int | float) and not isinstance(cost, bool) else None


def _extra(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    extra: dict[str, Any] = {}
    for name, value in usage.items():
        if name in _NAMED or value is None:
            continue
        if name == "prompt_tokens_details":
            value = {k: v for k, v in _object(value).items() if k not in _PROMPT_NAMED and v is not None}
        elif name == "completion_tokens_details":
            value = {k: v for k, v in _object(value).items() if k not in _COMPLETION_NAMED and v is not None}
        if value != {}:
            extra[name] = value
    return extra or NOTHING
