"""Write the price data of the locked genai-prices package as the tables that weir.prices reads: `make prices`.

One file per provider, one model per line, so that a provider's prices load in about a millisecond and a change of
price is a change of one line. The same package gives the same bytes. weir/prices/table.py describes the format.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types as source
from genai_prices.data import providers

TARGET = Path(__file__).resolve().parent.parent / "layers" / "shared" / "weir" / "prices"

KINDS: Mapping[str, str] = {
    "input_mtok": "prompt",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_written",
    "cache_write_1h_mtok": "cache_written_1h",
    "input_audio_mtok": "prompt_audio",
    "cache_audio_read_mtok": "cached_audio",
    "output_mtok": "completion",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "completion_audio",
    "requests_kcount": "requests",
}
"""What a usage counts, by the package's name of its price."""

BESIDE = frozenset(
    {"web_searches_kcount", "storage_searches_kcount", "social_searches_kcount", "code_executions_kcount"}
)
"""Fees of a provider's own tools: not part of a completion's price here."""

TIERS = frozenset({"service_tier", "speed"})
"""Names of the answer's field that says at which of a provider's tariffs it was made; no provider has both."""

PER_REQUEST = Decimal(1000)
"""Prices are per million of what is counted, those of requests per thousand."""


def compiled() -> dict[str, str]:
    """The text of every generated file by its path under weir/prices."""
    tables = {f"data/{provider.id}.json": _table(provider) for provider in providers}
    digest = hashlib.sha256("".join(tables[name] for name in sorted(tables)).encode()).hexdigest()
    return {**tables, "compiled.py": _index(f"genai-prices-{version('genai-prices')}+{digest[:8]}")}


def _index(price_version: str) -> str:
    fallbacks = {provider.id: tuple(provider.fallback_model_providers or ()) for provider in providers}
    rows = "".join(f"    {_quoted(id)}: {_tuple(fallbacks[id])},\n" for id in sorted(fallbacks))
    return (
        '"""Written by infra/compile_prices.py: which price data this is, and whose."""\n\n'
        "from collections.abc import Mapping\n\n"
        f"PRICE_VERSION = {_quoted(price_version)}\n\n"
        f"PROVIDERS: Mapping[str, tuple[str, ...]] = {{\n{rows}}}\n"
        '"""Every provider with a table, and the providers whose prices hold for their models there."""\n'
    )


def _tuple(names: Iterable[str]) -> str:
    quoted = [_quoted(name) for name in names]
    return f"({quoted[0]},)" if len(quoted) == 1 else f"({', '.join(quoted)})"


def _quoted(text: str) -> str:
    return json.dumps(text)


def _table(provider: source.Provider) -> str:
    lines = (json.dumps(_model(model), ensure_ascii=False, separators=(",", ":")) for model in provider.models)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _model(model: source.ModelInfo) -> list[Any]:
    row = [model.id, _clause(model.match), _prices(model)]
    tiers: dict[str, list[Any]] = {}
    for variant in model.price_variants or ():
        ((asked, word), *others) = variant.when.items()
        if asked in TIERS and not others and (rates := _rates(variant.prices)):
            tiers.setdefault(word, []).append([_condition(variant.constraint), rates])
    return [*row, tiers] if tiers and row[2] is not None else row


def _clause(clause: object) -> Any:
    """Names are compared in lower case; a regular expression is written for lower case already."""
    match clause:
        case source.ClauseEquals(equals=text):
            return text.lower()
        case source.ClauseStartsWith(starts_with=text):
            return {"starts": text.lower()}
        case source.ClauseEndsWith(ends_with=text):
            return {"ends": text.lower()}
        case source.ClauseContains(contains=text):
            return {"has": text.lower()}
        case source.ClauseRegex(regex=text):
            return {"regex": text}
        case source.ClauseOr(or_=clauses):
            return [_clause(each) for each in clauses]
        case source.ClauseAnd(and_=clauses):
            return {"all": [_clause(each) for each in clauses]}
        case _:
            raise TypeError(f"a kind of clause that is new here: {clause!r}")


def _prices(model: source.ModelInfo) -> list[Any] | None:
    """None when the price depends on something that a usage does not count (images, hours, pages), or is not known.

    The package has no price for what is free, and neither for what it does not know; only names that end in `:free`
    tell the two apart.
    """
    given = model.prices
    conditional = [source.ConditionalPrice(prices=given)] if isinstance(given, source.ModelPrice) else given
    keys = {key for each in conditional for key in _given(each.prices)}
    keys |= {key for variant in model.price_variants or () for key in _given(variant.prices)}
    if model.id.endswith(":free") and not keys:
        return [[None, {"prompt": "0", "completion": "0"}]]
    if keys - KINDS.keys() - BESIDE or not keys & KINDS.keys():
        return None
    return [[_condition(each.constraint), _rates(each.prices)] for each in conditional]


def _given(prices: source.ModelPrice) -> dict[str, Decimal | source.TieredPrices]:
    return {key: price for key, price in vars(prices).items() if price is not None}


def _rates(prices: source.ModelPrice) -> dict[str, Any]:
    given = _given(prices)
    return {kind: _rate(kind, given[key]) for key, kind in KINDS.items() if key in given}


def _rate(kind: str, price: Decimal | source.TieredPrices) -> Any:
    scale = PER_REQUEST if kind == "requests" else Decimal(1)
    if isinstance(price, source.TieredPrices):
        return [_text(price.base * scale), *([tier.start, _text(tier.price * scale)] for tier in price.tiers)]
    return _text(price * scale)


def _text(price: Decimal) -> str:
    return f"{price.normalize():f}"


def _condition(constraint: object) -> list[str] | None:
    match constraint:
        case None:
            return None
        case source.StartDateConstraint(start_date=start):
            return [start.isoformat()]
        case source.TimeOfDateConstraint(start_time=start, end_time=end):
            return [_utc(start), _utc(end)]
        case _:
            raise TypeError(f"a kind of condition that is new here: {constraint!r}")


def _utc(moment: time) -> str:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return datetime.combine(date(1970, 1, 1), aware).astimezone(UTC).time().isoformat()


def main(target: Path) -> None:
    files = compiled()
    for old in (target / "data").glob("*.json"):
        if f"data/{old.name}" not in files:
            old.unlink()
    for name, text in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
