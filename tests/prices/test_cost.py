"""Costs reckoned by hand from the vendors' price pages, and what holds of every cost."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weir.domain.completion import Usage
from weir.prices.compiled import PRICE_VERSION
from weir.prices.counts import Counts
from weir.prices.rates import Rate, Rates
from weir.prices.table import Cost, Prices, cost_of, prices_of

AT = datetime(2026, 1, 2, 12, tzinfo=UTC)
WRITTEN = {"cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}}
WRITTEN_ON_BEDROCK = {"cacheDetails": [{"ttl": "1h", "inputTokens": 40}, {"ttl": "5m", "inputTokens": 60}]}
BILLED = {"billed_units": {"input_tokens": 100.0, "output_tokens": 10}}


def dollars(provider: str, model: str, usage: Usage, at: datetime = AT, service_tier: str | None = None) -> str | None:
    cost = cost_of(provider, model, usage, at, service_tier)
    assert cost is None or cost.price_version == PRICE_VERSION
    return None if cost is None else f"{cost.dollars.normalize():f}"


@pytest.mark.parametrize(
    ("provider", "model", "usage", "expected"),
    [
        # https://openai.com/api/pricing: 0.15, cached 0.075, 0.60
        ("openai", "gpt-4o-mini", Usage(1000, 100), "0.00021"),
        ("openai", "GPT-4o-mini-2024-07-18", Usage(1000, 100, cached=400), "0.00018"),
        ("openai", "gpt-4o-mini", Usage(1000, 100, reasoning=90), "0.00021"),
        ("openai", "gpt-4o-mini-20240718", Usage(1000, 100), "0.00021"),
        # https://platform.claude.com/docs/en/about-claude/pricing: 3, read 0.30, written 3.75 (an hour: 6), 15
        ("anthropic", "claude-sonnet-4-20250514", Usage(1000, 100), "0.0045"),
        ("anthropic", "claude-sonnet-4-20250514", Usage(1000, 100, cached=500, cache_written=100), "0.003225"),
        ("anthropic", "claude-sonnet-4-20250514", Usage(1000, 100, cache_written=100, extra=WRITTEN), "0.004665"),
        # the same page, long context: the whole call at 6, 0.60, 22.50 above 200,000 tokens of prompt
        ("anthropic", "claude-sonnet-4-5", Usage(200_000, 1000), "0.615"),
        ("anthropic", "claude-sonnet-4-5", Usage(200_001, 1000), "1.222506"),
        ("anthropic", "claude-sonnet-4-5", Usage(200_001, 1000, cached=200_000), "0.142506"),
        ("vertex", "claude-sonnet-4-5@20250929", Usage(1000, 100), "0.0045"),
        ("bedrock", "global.anthropic.claude-opus-4-8-v1:0", Usage(100, 0, cache_written=100), "0.000625"),
        # https://ai.google.dev/gemini-api/docs/pricing: 0.30, cached 0.03, sound 1.00, cached sound 0.10, 2.50
        ("gemini", "gemini-2.5-flash", Usage(1000, 100, prompt_audio=600), "0.00097"),
        ("vertex", "gemini-2.5-flash", Usage(1000, 100, prompt_audio=0, cached=500), "0.000415"),
        # https://openai.com/api/pricing: text 2.50 and 10, sound 32 and 64
        ("openai", "gpt-audio", Usage(1000, 100, prompt_audio=600, completion_audio=70), "0.02498"),
        # https://docs.perplexity.ai/getting-started/pricing: 1, 1, and 12 for 1,000 requests of the largest context
        ("perplexity", "sonar", Usage(1000, 100), "0.0131"),
        # https://cohere.com/pricing: 0.15 and 0.60 of what it bills, not of what the model read
        ("cohere", "command-r-08-2024", Usage(900, 30, extra=BILLED), "0.000021"),
        ("openrouter", "qwen/qwq-32b:free", Usage(1000, 100), "0"),
    ],
)
def test_costs_reckoned_by_hand(provider: str, model: str, usage: Usage, expected: str | None) -> None:
    assert dollars(provider, model, usage) == expected


def test_a_cost_is_exact_and_says_by_which_prices() -> None:
    cost = cost_of("openai", "gpt-4o-mini", Usage(1_000_000_001, 1), AT)
    assert cost == Cost(Decimal("150.00000075"), PRICE_VERSION)
    assert isinstance(cost.dollars, Decimal)


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", "gpt-of-tomorrow", Usage(1, 1)),
        ("openai", "gpt-4o-mini-20240231", Usage(1, 1)),
        ("openai", "", Usage(1, 1)),
        ("own-vendor", "gpt-4o-mini", Usage(1, 1)),
        ("../prices/data/openai", "gpt-4o-mini", Usage(1, 1)),
        ("demo", "echo", Usage(1, 1)),
        ("gemini", "gemini-2.5-flash-image", Usage(1, 1)),  # images have a price of their own, and are not counted
        ("openai", "text-embedding-3-small", Usage(1, 1)),  # no price for written tokens
        ("openai", "gpt-4o-mini", Usage(10, 1, cached=11)),
        ("gemini", "gemini-2.5-flash", Usage(100, 1, cached=5, prompt_audio=8)),  # how much of the five was sound?
        ("gemini", "gemma-3", Usage(1, 1)),  # no price is known, which is not the price 0
    ],
)
def test_what_is_not_known_has_no_cost(provider: str, model: str, usage: Usage) -> None:
    assert cost_of(provider, model, usage, AT) is None


def test_an_embedding_costs_its_prompt() -> None:
    assert dollars("openai", "text-embedding-3-small", Usage(1000, 0)) == "0.00002"


def test_the_hour_of_the_cache_is_read_from_either_api() -> None:
    usage = Usage(1000, 100, cache_written=100, extra=WRITTEN_ON_BEDROCK)
    assert dollars("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", usage) is not None
    assert dollars("anthropic", "claude-sonnet-4-5", usage) == "0.004665"


@pytest.mark.parametrize(
    "details",
    [None, [], "x", [None], [{"modality": "AUDIO"}], [{"modality": "TEXT", "tokenCount": 5}], {"AUDIO": 1}],
)
@pytest.mark.parametrize("field", ["cacheTokensDetails", "cache_creation", "cacheDetails", "billed_units", "speed"])
def test_a_providers_own_fields_may_be_anything(field: str, details: Any) -> None:
    assert cost_of("anthropic", "claude-sonnet-4-5", Usage(1, 1, extra={field: details}), AT) is not None


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC), "0.05"),
        (datetime(2025, 6, 10, tzinfo=UTC), "0.01"),
        (datetime(2025, 6, 10, 1, tzinfo=timezone(timedelta(hours=2))), "0.05"),
    ],
)
def test_a_price_holds_from_its_first_day_on_in_utc(at: datetime, expected: str) -> None:
    """OpenAI's o3 went from 10 and 40 dollars to 2 and 8 on 10 June 2025."""
    assert dollars("openai", "o3", Usage(1000, 1000), at) == expected


@pytest.mark.parametrize(
    ("time", "expected"), [("00:29:59", "0.685"), ("00:30:00", "1.37"), ("16:29:59.9", "1.37"), ("16:30:00", "0.685")]
)
def test_a_price_by_the_hour(time: str, expected: str) -> None:
    """DeepSeek's discount from 16:30 to 00:30 UTC: https://api-docs.deepseek.com/quick_start/pricing-details-usd"""
    at = datetime.fromisoformat(f"2025-07-01T{time}+00:00")
    assert dollars("deepseek", "deepseek-chat", Usage(10**6, 10**6), at) == expected


@pytest.mark.parametrize(
    ("time", "expected"), [("21:59:59.9", "1"), ("22:00:00", "2"), ("00:00:00", "2"), ("05:59:59", "2"), ("06:00", "1")]
)
def test_hours_may_cross_midnight(time: str, expected: str) -> None:
    by_day, by_night = (Rates({"prompt": Rate(Decimal(price))}) for price in (1, 2))
    prices = Prices((((), by_day), (("22:00:00", "06:00:00"), by_night)), {})
    at = datetime.fromisoformat(f"2026-07-01T{time}+00:00")
    assert prices.at(at, None).charge(Counts(1, 0)) == Decimal(expected)


def test_a_service_tier_changes_what_it_names_and_nothing_else() -> None:
    late = datetime(2026, 12, 1, tzinfo=UTC)
    costs = [dollars("openai", "gpt-5", Usage(1000, 100), late, tier) for tier in (None, "default", "flex", "priority")]
    assert costs == ["0.00225", "0.00225", "0.001125", "0.0045"]


def test_a_tier_of_another_seller_is_not_this_ones() -> None:
    late = datetime(2026, 12, 1, tzinfo=UTC)
    assert dollars("azure", "gpt-5", Usage(1000, 100), late, "flex") == "0.00225"


PLAIN = ("openai", "gpt-4o-mini")
TIERED = ("anthropic", "claude-sonnet-4-5")
BY_SOUND = ("gemini", "gemini-2.5-flash")
models = st.sampled_from([PLAIN, TIERED, BY_SOUND, ("perplexity", "sonar"), ("xai", "grok-4.20")])
counts = st.integers(0, 400_000)


@given(models, counts, counts, counts, counts)
@example(TIERED, 200_000, 1, 1, 0)
def test_more_tokens_never_cost_less(name: tuple[str, str], prompt: int, completion: int, more: int, also: int) -> None:
    less = cost_of(*name, Usage(prompt, completion), AT)
    dearer = cost_of(*name, Usage(prompt + more, completion + also), AT)
    assert less is not None
    assert dearer is not None
    assert less.dollars <= dearer.dollars


@given(models, counts, counts, st.data())
def test_cached_tokens_are_billed_once_and_not_dearer_than_fresh_ones(
    name: tuple[str, str], prompt: int, completion: int, data: st.DataObject
) -> None:
    cached = data.draw(st.integers(0, prompt))
    fresh, warm = (cost_of(*name, Usage(prompt, completion, cached=n), AT) for n in (None, cached))
    assert fresh is not None
    assert warm is not None
    assert warm.dollars <= fresh.dollars


@pytest.mark.parametrize("name", [PLAIN, TIERED, BY_SOUND])
def test_no_tokens_cost_nothing(name: tuple[str, str]) -> None:
    assert dollars(*name, Usage(0, 0)) == "0"


def test_a_model_is_looked_up_once() -> None:
    first = prices_of("openai", "gpt-4o-mini")
    assert isinstance(first, Prices)
    assert prices_of("openai", "gpt-4o-mini") is first
