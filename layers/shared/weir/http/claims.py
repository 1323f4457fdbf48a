"""What a caller claims about a call made elsewhere: token counts, cost, times."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.completion import NOTHING, Usage
from weir.protocols.openai_usage import usage_of

Count = Annotated[int, Field(ge=0)]


class TokenDetails(BaseModel):
    """`prompt_tokens_details` and `completion_tokens_details`."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    accepted_prediction_tokens: Count | None = None
    rejected_prediction_tokens: Count | None = None


class UsageClaim(BaseModel):
    """A `usage` object in OpenAI's form or with Anthropic's names."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    prompt_cache_hit_tokens: Count | None = None
    cached_tokens: Count | None = None
    num_cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    prompt_tokens_details: TokenDetails | None = None
    prompt_token_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None
    completion_token_details: TokenDetails | None = None
    cost: float | dict[str, Any] | None = None


def claimed_usage(claim: UsageClaim | None, beside: Mapping[str, Any] = NOTHING) -> Usage | None:
    """The counts of a `usage` object and those given `beside` it, which win.

    None unless both counts are known, or one of them and the total: a missing count is never made up.
    """
    said = claim.model_dump(exclude_none=True) if claim is not None else {}
    said.update({name: count for name, count in beside.items() if count is not None})
    prompt = _either(said, "prompt_tokens", "input_tokens")
    completion = _either(said, "completion_tokens", "output_tokens")
    total = said.get("total_tokens")
    if prompt is None and completion is not None and total is not None:
        prompt = total - completion
    if completion is None and prompt is not None and total is not None:
        completion = total - prompt
    if prompt is None or completion is None or prompt < 0 or completion < 0:
        return None
    usage = usage_of({**said, "prompt_tokens": prompt, "completion_tokens": completion})
    return replace(usage, extra=NOTHING) if usage is not None else None


def _either(said: Mapping[str, Any], name: str, other: str) -> int | None:
    return next((said[key] for key in (name, other) if key in said), None)


def dollars(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(str(amount))


def milliseconds(seconds: float | None) -> float | None:
    """A duration of exactly 0 is the protocols' way of leaving it open, not a measurement."""
    return round(seconds * 1000, 3) if seconds else None
