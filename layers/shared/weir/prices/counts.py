"""What is billed of a usage: its counts, and those that a provider gives beside them."""

from dataclasses import dataclass
from typing import Any

from weir.domain.completion import Usage


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens, each kind including the kinds that are parts of it (`rates.PARTS`).

    `cached_audio` is None when the provider does not say how much of its cached tokens were sound.
    """

    prompt: int
    completion: int
    cached: int = 0
    cache_written: int = 0
    cache_written_1h: int = 0
    prompt_audio: int = 0
    cached_audio: int | None = None
    reasoning: int = 0
    completion_audio: int = 0
    requests: int = 1


def counts_of(usage: Usage) -> Counts:
    extra = usage.extra
    prompt, completion = usage.prompt, usage.completion
    match extra.get("billed_units"):
        # Cohere's model reads more than the caller sent, and only that is billed:
        # https://docs.cohere.com/docs/how-does-cohere-pricing-work
        case {"input_tokens": int() | float() as read, "output_tokens": int() | float() as written}:
            prompt, completion = int(read), int(written)
    return Counts(
        prompt,
        completion,
        usage.cached or 0,
        usage.cache_written or 0,
        _written_for_an_hour(extra.get("cache_creation"), extra.get("cacheDetails")),
        usage.prompt_audio or 0,
        0 if not usage.cached or not usage.prompt_audio else _cached_audio(extra.get("cacheTokensDetails")),
        usage.reasoning or 0,
        usage.completion_audio or 0,
    )


def _written_for_an_hour(messages: Any, converse: Any) -> int:
    """Of the tokens written to the cache. Messages API: `cache_creation`; Bedrock's Converse: `cacheDetails`."""
    match messages:
        case {"ephemeral_1h_input_tokens": int() as count}:
            return count
    match converse:
        case [*details]:
            return sum(_hour(each) for each in details)
    return 0


def _hour(detail: Any) -> int:
    match detail:
        case {"ttl": "1h", "inputTokens": int() as count}:
            return count
    return 0


def _cached_audio(details: Any) -> int | None:
    """Gemini lists its cached tokens by modality; the others do not say."""
    if not isinstance(details, list):
        return None
    count = 0
    for detail in details:
        match detail:
            case {"modality": "AUDIO", "tokenCount": int() as tokens}:
                count += tokens
    return count
