"""The arithmetic: prices per million, the part of a count that each of them is for, and the sum."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any

from weir.prices.counts import Counts

PARTS: Mapping[str, tuple[str, ...]] = {
    "cached_audio": (),
    "cache_written_1h": (),
    "cached": ("cached_audio",),
    "cache_written": ("cache_written_1h",),
    "prompt_audio": ("cached_audio",),
    "prompt": ("cached", "cache_written", "cache_written_1h", "prompt_audio", "cached_audio"),
    "reasoning": (),
    "completion_audio": (),
    "completion": ("reasoning", "completion_audio"),
    "requests": (),
}
"""The kinds that a kind includes; each kind stands after its parts. A part without a price of its own is billed as
what it is a part of."""

_MUST_BE_PRICED = ("prompt", "completion")

Step = tuple[int, Decimal]
"""From more than so many prompt tokens on, this price holds, for all tokens of the call."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one of a kind, in dollars, by the size of the prompt."""

    base: Decimal
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, price: str | list[Any]) -> "Rate":
        """`"2.5"` dollars per million, or `["1.25", [200000, "2.5"], …]`."""
        if isinstance(price, str):
            return cls(_per_token(price))
        base, *steps = price
        return cls(_per_token(base), tuple((start, _per_token(higher)) for start, higher in steps))

    def at(self, prompt: int) -> Decimal:
        price = self.base
        for start, higher in self.steps:
            if prompt > start:
                price = higher
        return price


class Rates:
    """The prices of one model at one time."""

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self.by_kind = rates
        self._unpriced = tuple(attrgetter(kind) for kind in _MUST_BE_PRICED if kind not in rates)
        kinds = [kind for kind in PARTS if kind in rates]
        self._plan = tuple(
            (attrgetter(kind), rates[kind], tuple(at for at, part in enumerate(kinds) if part in PARTS[kind]))
            for kind in kinds
        )
        self._audio_apart = "cached_audio" in rates

    def charge_tokens(self, prompt: int, completion: int) -> Decimal | None:
        """Of a call of which no more is known."""
        return self.charge(Counts(prompt, completion, cached_audio=0))

    def charge(self, counts: Counts) -> Decimal | None:
        """Dollars. None when there are tokens without a price, or the counts contradict each other or say too little:
        cached sound has its own price, and nobody said how much of what was cached was sound."""
        if any(count(counts) for count in self._unpriced) or (self._audio_apart and counts.cached_audio is None):
            return None
        total = Decimal(0)
        own: list[int] = []
        for count, rate, parts in self._plan:
            rest: int = count(counts) or 0
            for at in parts:
                rest -= own[at]
            if rest < 0:
                return None
            own.append(rest)
            if rest:
                total += rate.at(counts.prompt) * rest
        return total


def _per_token(dollars: str) -> Decimal:
    return Decimal(dollars).scaleb(-6)
