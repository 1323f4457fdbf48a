"""The compiled tables against the locked genai-prices package: the same bytes, and the same sums."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import types as source
from genai_prices.data import providers

from infra.compile_prices import BESIDE, KINDS, TARGET, compiled
from weir.domain.completion import Usage
from weir.prices.compiled import PRICE_VERSION, PROVIDERS
from weir.prices.table import NAMES, cost_of
from weir.providers.catalog import CATALOG

BY_ID = {provider.id: provider for provider in providers}

INSTANTS = (
    datetime(2024, 5, 1, 12, tzinfo=UTC),
    datetime(2025, 6, 10, 0, 30, tzinfo=UTC),
    datetime(2026, 1, 2, 16, 29, 59, 999999, tzinfo=UTC),
    datetime(2026, 1, 2, 16, 30, tzinfo=UTC),
    datetime(2026, 11, 3, 3, 59, tzinfo=UTC),
    datetime(2027, 1, 1, 6, tzinfo=UTC),
)

USAGES: Mapping[str, tuple[Usage, dict[str, int]]] = {
    "plain": (Usage(1234, 567), {"input_tokens": 1234, "output_tokens": 567}),
    "nothing": (Usage(0, 0), {"input_tokens": 0, "output_tokens": 0}),
    "no answer": (Usage(77, 0), {"input_tokens": 77, "output_tokens": 0}),
    "details": (
        Usage(90_001, 4003, cached=7, cache_written=1009, reasoning=13),
        {
            "input_tokens": 90_001,
            "output_tokens": 4003,
            "cache_read_tokens": 7,
            "cache_write_tokens": 1009,
            "output_reasoning_tokens": 13,
        },
    ),
    "cache for an hour": (
        Usage(90_001, 1, cache_written=1009, extra={"cache_creation": {"ephemeral_1h_input_tokens": 9}}),
        {"input_tokens": 90_001, "output_tokens": 1, "cache_write_tokens": 1009, "cache_write_1h_tokens": 9},
    ),
    "sound": (
        Usage(1000, 100, prompt_audio=600, completion_audio=70),
        {"input_tokens": 1000, "output_tokens": 100, "input_audio_tokens": 600, "output_audio_tokens": 70},
    ),
    "cached sound": (
        Usage(
            1000,
            100,
            cached=300,
            prompt_audio=600,
            extra={"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 200}]},
        ),
        {
            "input_tokens": 1000,
            "output_tokens": 100,
            "cache_read_tokens": 300,
            "input_audio_tokens": 600,
            "cache_audio_read_tokens": 200,
        },
    ),
    "a tier's last token": (Usage(200_000, 10, cached=5), {"input_tokens": 200_000, "output_tokens": 10}),
    "the next tier": (
        Usage(200_001, 10, cached=100_000),
        {"input_tokens": 200_001, "output_tokens": 10, "cache_read_tokens": 100_000},
    ),
    "more than there is": (
        Usage(10, 1, cached=11),
        {"input_tokens": 10, "output_tokens": 1, "cache_read_tokens": 11},
    ),
}
USAGES["a tier's last token"][1]["cache_read_tokens"] = 5


def test_the_tables_are_those_of_the_locked_package() -> None:
    """If this fails, run `make prices` and look at what changed."""
    written = {f"data/{path.name}": path.read_text(encoding="utf-8") for path in (TARGET / "data").iterdir()}
    written["compiled.py"] = (TARGET / "compiled.py").read_text(encoding="utf-8")
    assert written == compiled()


def test_the_price_version_names_the_package() -> None:
    assert PRICE_VERSION.startswith(f"genai-prices-{genai_prices.__version__}+")


def test_every_provider_is_priced_or_known_not_to_be() -> None:
    unpriced = {provider.name for provider in CATALOG if NAMES.get(provider.name, provider.name) not in PROVIDERS}
    assert unpriced == {"demo", "sambanova", "ollama", "vllm"}
    assert set(NAMES.values()) <= PROVIDERS.keys()


def names_of(model: source.ModelInfo) -> Iterator[str]:
    """Names that its clause speaks of, whatever model they find in the end."""
    yield model.id
    clauses: list[object] = [model.match]
    while clauses:
        match clauses.pop():
            case source.ClauseEquals(equals=text):
                yield text
            case source.ClauseStartsWith(starts_with=text):
                yield f"{text}-20260131"
            case source.ClauseContains(contains=text):
                yield f"x{text}x"
            case source.ClauseOr(or_=inner) | source.ClauseAnd(and_=inner):
                clauses += inner
            case _:
                pass


def expected(
    provider: str, model: str, counts: dict[str, int], at: datetime, context: dict[str, str] | None = None
) -> Decimal | None:
    """What the package says, and None where it says 0 for what it does not know or we do not count."""
    try:
        price = genai_prices.calc_price(
            genai_prices.Usage(**counts),
            model,
            provider_id=provider,
            genai_request_timestamp=at,
            price_context=context,
        )
    except (LookupError, ValueError):
        return None
    known = price.model.prices
    every = [known] if isinstance(known, source.ModelPrice) else [each.prices for each in known]
    every += [variant.prices for variant in price.model.price_variants or ()]
    keys = {key for prices in every for key, value in vars(prices).items() if value is not None}
    if keys - KINDS.keys() - BESIDE or (not keys and not price.model.id.endswith(":free")):
        return None
    in_force = {key for key, value in vars(price.model_price).items() if value is not None}
    if keys and (
        (counts["output_tokens"] and "output_mtok" not in in_force)
        or (counts["input_tokens"] and "input_mtok" not in in_force)
    ):
        return None
    return price.total_price


@pytest.mark.parametrize("provider", sorted(BY_ID))
@pytest.mark.parametrize("usage", USAGES)
def test_every_model_costs_what_the_package_says(provider: str, usage: str) -> None:
    ours, theirs = USAGES[usage]
    sellers = (provider, *PROVIDERS[provider])
    names = {name for seller in sellers for model in BY_ID[seller].models for name in names_of(model)}
    wrong = {}
    for place, name in enumerate(sorted(names)):
        at = INSTANTS[place % len(INSTANTS)]
        cost = cost_of(provider, name, ours, at)
        reckoned = cost.dollars if cost is not None else None
        if reckoned != (right := expected(provider, name, theirs, at)):
            wrong[name, at] = (reckoned, right)
    assert wrong == {}


CONDITIONAL = [
    (provider.id, model)
    for provider in providers
    for model in provider.models
    if not isinstance(model.prices, source.ModelPrice) or model.price_variants
]


@pytest.mark.parametrize("word", [None, "default", "flex", "priority", "fast", "of-tomorrow"])
def test_times_and_tariffs_change_prices_as_the_package_says(word: str | None) -> None:
    ours, theirs = USAGES["details"]
    wrong = {}
    for provider, model in CONDITIONAL:
        for at in INSTANTS:
            spoken = {"speed": word} if provider == "anthropic" and word else {}
            context = (spoken or {"service_tier": word}) if word else None
            usage = Usage(ours.prompt, ours.completion, ours.cached, ours.cache_written, ours.reasoning, extra=spoken)
            cost = cost_of(provider, model.id, usage, at, word)
            reckoned = cost.dollars if cost is not None else None
            if reckoned != (right := expected(provider, model.id, theirs, at, context)):
                wrong[provider, model.id, at] = (reckoned, right)
    assert wrong == {}
