"""The price tables, loaded a provider at a time when they are first asked.

A table is a JSON list of models, `[id, clause, prices]` or `[id, clause, prices, tariffs]`, in the order in which they
are tried. A clause is a name, a list of clauses of which one must hold, or `{"starts" | "ends" | "has" | "regex":
text}` or `{"all": clauses}`. Prices are a list of `[condition, rates]`, of which the last whose condition holds counts,
or else the first; null where the price is not known. A condition is null, `[first day]`, or `[from, until]` of each
day, in UTC. Rates are dollars per million by kind. `tariffs` hold by the word in the answer that names one what differs
then, the first that says so first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from weir.domain.completion import Usage
from weir.prices.compiled import PRICE_VERSION, PROVIDERS
from weir.prices.counts import counts_of
from weir.prices.rates import Rate, Rates
from weir.protocols import jsonbytes

NAMES: Mapping[str, str] = {
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "bedrock-mantle": "aws",
    "xai": "x-ai",
    "copilot": "github-copilot",
}
"""Our names of providers where the tables have another."""

_DATED = r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)"

Condition = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """`price_version` names the price data that it was computed with."""

    dollars: Decimal
    price_version: str


@dataclass(frozen=True, slots=True)
class Prices:
    """One model's prices through time, and how they change with a tariff."""

    through_time: tuple[tuple[Condition, Rates], ...]
    tariffs: Mapping[str, tuple[tuple[Condition, Rates], ...]]

    def at(self, instant: datetime, tariff: str | None) -> Rates:
        utc = instant.astimezone(UTC)
        rates = self.through_time[0][1]
        for condition, later in reversed(self.through_time):
            if _holds(condition, utc):
                rates = later
                break
        changes = [changed for condition, changed in self.tariffs.get(tariff or "", ()) if _holds(condition, utc)]
        for changed in reversed(changes):
            rates = Rates({**rates.by_kind, **changed.by_kind})
        return rates


def cost_of(provider: str, model: str, usage: Usage, at: datetime, service_tier: str | None = None) -> Cost | None:
    """What the tokens cost, and the request where requests have a price; fees of a provider's own tools are not in it.

    `provider` is ours or the tables' name, `model` the provider's name for it, `service_tier` what the answer named.
    None when the price is not known.
    """
    prices = prices_of(provider, model)
    if prices is None:
        return None
    speed = usage.extra.get("speed")  # Anthropic's word for it
    tariff = speed if isinstance(speed, str) else service_tier
    dollars = prices.at(at, tariff).charge(counts_of(usage))
    return None if dollars is None else Cost(dollars, PRICE_VERSION)


@lru_cache(maxsize=1024)
def prices_of(provider: str, model: str) -> Prices | None:
    """Names that contain a day as 20260131 are also known with the day as 2026-01-31."""
    provider, name = NAMES.get(provider, provider), model.lower()
    if provider not in PROVIDERS:
        return None
    found = _find(provider, name)
    if found is None and (dashed := re.sub(_DATED, _dashed, name)) != name:
        found = _find(provider, dashed)
    return found


def _find(provider: str, name: str) -> Prices | None:
    for row in _rows(provider):
        if _means(row[1], name):
            return _prices(row)
    for other in PROVIDERS[provider]:
        for row in _rows(other):
            if _means(row[1], name):
                return _prices(row[:3])  # another provider's tariffs are not those of this one
    return None


@lru_cache(maxsize=8)
def _rows(provider: str) -> list[list[Any]]:
    rows: list[list[Any]] = jsonbytes.loads((Path(__file__).parent / "data" / f"{provider}.json").read_bytes())
    return rows


def _means(clause: Any, name: str) -> bool:
    match clause:
        case str():
            return name == clause
        case list():
            return any(_means(each, name) for each in clause)
        case {"starts": str() as text}:
            return name.startswith(text)
        case {"ends": str() as text}:
            return name.endswith(text)
        case {"has": str() as text}:
            return text in name
        case {"regex": str() as text}:
            return re.search(text, name) is not None
        case {"all": clauses}:
            return all(_means(each, name) for each in clauses)
        case _:
            raise ValueError(f"a clause that this version cannot read: {clause!r}")


def _prices(row: list[Any]) -> Prices | None:
    _, _, through_time, *tariffs = row
    if through_time is None:
        return None
    changes = tariffs[0] if tariffs else {}
    return Prices(_conditional(through_time), {word: _conditional(rates) for word, rates in changes.items()})


def _conditional(rows: list[Any]) -> tuple[tuple[Condition, Rates], ...]:
    return tuple(
        (tuple(condition or ()), Rates({kind: Rate.of(rate) for kind, rate in rates.items()}))
        for condition, rates in rows
    )


def _holds(condition: Condition, utc: datetime) -> bool:
    """ISO texts of one form compare as what they stand for."""
    match condition:
        case ():
            return True
        case (first_day,):
            return utc.date().isoformat() >= first_day
        case (start, end):
            now = utc.time().isoformat()
            return now >= start or now < end if end < start else start <= now < end
        case _:
            raise ValueError(f"a condition that this version cannot read: {condition!r}")


def _dashed(match: re.Match[str]) -> str:
    year, month, day = match.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return match.group()
    return f"-{year}-{month}-{day}"
